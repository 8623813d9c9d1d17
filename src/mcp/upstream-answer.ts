import type { OutcomeStatus } from '../domain/decision.ts';
import { GatewayError } from '../domain/errors.ts';

/** A client that reads 404 opens a new session (specification 2025-11-25, basic/transports, Session Management). */
export const sessionLost = {
  code: -32600,
  message: `The upstream does not know the session any more: send 'initialize' for a new one.`,
};

/** True for a JSON content type. */
export function isJson(contentType: string): boolean {
  return contentType.startsWith('application/json');
}

/** Statuses with which MCP servers answer; 401 and 403 are about the gateway's own credentials and are not passed on. */
export function isAnswerStatus(status: number): boolean {
  return (
    status === 200 ||
    status === 400 ||
    status === 404 ||
    status === 405 ||
    status === 406 ||
    status === 409 ||
    status === 415
  );
}

/** The error for what an upstream sent in place of an MCP answer; tells the operator what to check. */
export function notAnAnswer(slug: string, status: number, contentType: string): GatewayError {
  if (status === 401 || status === 403) {
    return new GatewayError(
      'bad_gateway',
      `The upstream "${slug}" refused the gateway's credentials (HTTP ${status}). An operator can set new ones with UpdateUpstream.`,
    );
  }
  const what = status === 200 ? `is no JSON-RPC message (content type '${contentType}')` : `has HTTP status ${status}`;
  return new GatewayError(
    'bad_gateway',
    `The answer of the upstream "${slug}" ${what}. Check its log, and that its URL is its MCP endpoint.`,
  );
}

/** The outcome of a call that failed so. */
export function statusOfError(error: unknown): OutcomeStatus {
  return error instanceof GatewayError && error.reason === 'upstream_timeout' ? 'timeout' : 'upstream_error';
}
