import { GatewayError } from '../domain/errors.ts';
import type { Upstream } from '../domain/upstream.ts';
import type { HttpAnswer } from './http-call.ts';
import { isObject, type JsonObject } from './message.ts';

/** The upstream answered a call of the gateway's own with a JSON-RPC error. */
export class UpstreamRpcError extends Error {
  override readonly name = 'UpstreamRpcError';
  readonly code: number;
  readonly data: unknown;

  constructor(code: number, message: string, data: unknown) {
    super(message);
    this.code = code;
    this.data = data;
  }
}

/** The result in a JSON-RPC answer; throws UpstreamRpcError for an error, and `bad_gateway` for what is neither. */
export function resultOf(upstream: Upstream, response: JsonObject): JsonObject {
  const { result, error } = response;
  if (isObject(error)) {
    throw new UpstreamRpcError(Number(error['code']), String(error['message']), error['data']);
  }
  if (!isObject(result)) {
    throw new GatewayError(
      'bad_gateway',
      `The upstream "${upstream.slug}" sent an answer with neither a result nor an error.`,
    );
  }
  return result;
}

/** The JSON-RPC answer in an HTTP answer; without one, `bad_gateway` with what the HTTP status says. */
export function responseIn(upstream: Upstream, answer: HttpAnswer): JsonObject {
  if (answer.response !== undefined) {
    return answer.response;
  }
  const message = `The upstream "${upstream.slug}" answered ${answer.status} without a JSON-RPC answer. ${adviceFor(answer.status)}`;
  throw new GatewayError('bad_gateway', message, { metadata: { http_status: String(answer.status) } });
}

function adviceFor(status: number): string {
  if (status === 401 || status === 403) {
    return 'Check the credentials of the upstream.';
  }
  if (status === 404 || status === 405) {
    return 'Check that its URL is that of its MCP endpoint, and its transport.';
  }
  return status >= 500 ? 'Check its log.' : 'Check that its URL leads to an MCP server.';
}
