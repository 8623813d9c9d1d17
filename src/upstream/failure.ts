import { GatewayError } from '../domain/errors.ts';
import type { Upstream } from '../domain/upstream.ts';
import { errors } from './undici.ts';

/**
 * Turns what a socket or undici reports into the error the caller reads: it names the upstream by slug, says what to
 * check, and leaves addresses and credentials to the cause.
 */
export function failureOf(upstream: Upstream, error: unknown, timeoutMs = upstream.timeoutMs): GatewayError {
  if (error instanceof GatewayError) {
    return error;
  }
  const code = codeOf(error);
  const name = `The upstream "${upstream.slug}"`;
  if (code === 'UND_ERR_HEADERS_TIMEOUT' || code === 'UND_ERR_BODY_TIMEOUT') {
    return silenceOf(upstream, error, timeoutMs);
  }
  if (code === 'UND_ERR_CONNECT_TIMEOUT' || code === 'ETIMEDOUT') {
    const message = `${name} could not be connected to in time. Check that it is running and that no firewall is in the way.`;
    return new GatewayError('upstream_timeout', message, { cause: error });
  }
  if (code === 'UND_ERR_DESTROYED' || code === 'UND_ERR_CLOSED') {
    return new GatewayError('unavailable', `${name} was changed or removed meanwhile. Repeat the call.`, {
      cause: error,
    });
  }
  return new GatewayError('bad_gateway', `${name} ${brokenBy(code)}`, { cause: error });
}

/** The error for an upstream that was silent for too long. */
export function silenceOf(upstream: Upstream, cause?: unknown, timeoutMs = upstream.timeoutMs): GatewayError {
  const message =
    `The upstream "${upstream.slug}" sent nothing for ${timeoutMs / 1000} s. ` +
    'It hangs or is overloaded; if its calls may take longer, raise the timeout of the upstream.';
  return new GatewayError('upstream_timeout', message, { cause });
}

/** The cause of an error that is about an HTTP status. */
export class HttpStatusError extends Error {
  override readonly name = 'HttpStatusError';
  readonly status: number;

  constructor(status: number) {
    super(`HTTP status ${status}`);
    this.status = status;
  }
}

/** The error for what an upstream sent in place of an MCP answer; tells the operator what to check. */
export function notAnAnswer(slug: string, status: number, contentType: string): GatewayError {
  const cause = new HttpStatusError(status);
  if (status === 401 || status === 403) {
    const message = `The upstream "${slug}" refused the gateway's credentials (HTTP ${status}). An operator can set new ones with UpdateUpstream.`;
    return new GatewayError('bad_gateway', message, { cause });
  }
  const what = status === 200 ? `is no JSON-RPC message (content type '${contentType}')` : `has HTTP status ${status}`;
  const message = `The answer of the upstream "${slug}" ${what}. Check its log, and that its URL is its MCP endpoint.`;
  return new GatewayError('bad_gateway', message, { cause });
}

/** The error for an event stream that is over before it had the answer. */
export function endedWithoutAnswer(slug: string): GatewayError {
  return new GatewayError('bad_gateway', `The upstream "${slug}" ended its stream without an answer.`);
}

/** The error for a message of more than `maxBytes`. */
export function tooLarge(slug: string, maxBytes: number): GatewayError {
  const message = `The upstream "${slug}" sent a message of more than ${maxBytes / 1024 / 1024} MiB.`;
  return new GatewayError('bad_gateway', message);
}

function brokenBy(code: string): string {
  if (code === 'ECONNREFUSED') {
    return 'refused the connection. Check that it is running and that its URL has the right host and port.';
  }
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN') {
    return 'has a host name that could not be resolved. Check its URL and the DNS of the gateway.';
  }
  if (code === 'EHOSTUNREACH' || code === 'ENETUNREACH' || code === 'EADDRNOTAVAIL') {
    return 'could not be reached. Check its URL and the network of the gateway.';
  }
  if (isTls(code)) {
    return `failed the TLS handshake (${code}). Check its certificate and that its URL has the right scheme.`;
  }
  if (code.startsWith('HPE') || code === 'UND_ERR_HEADERS_OVERFLOW' || code === 'UND_ERR_RES_CONTENT_LENGTH_MISMATCH') {
    return 'did not answer with valid HTTP. Check that its URL leads to an MCP server and has the right scheme.';
  }
  if (code === 'UND_ERR_INVALID_ARG') {
    return 'cannot be sent this request: a header has characters that HTTP does not allow. Check its custom headers and credentials.';
  }
  return 'closed the connection before its answer was complete. Check its log.';
}

function isTls(code: string): boolean {
  return /^(ERR_TLS_|ERR_SSL_|CERT_)|CERT|SIGNATURE/.test(code) || code === 'EPROTO';
}

/** The code of an error, also of the several errors of an attempt on several addresses. */
function codeOf(error: unknown): string {
  if (error instanceof AggregateError && !('code' in error)) {
    return codeOf(error.errors[0]);
  }
  if (error instanceof errors.HTTPParserError) {
    return 'HPE'; // its code is missing for some parser errors
  }
  if (typeof error === 'object' && error !== null && 'code' in error && typeof error.code === 'string') {
    return error.code;
  }
  return '';
}
