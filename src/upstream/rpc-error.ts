import { GatewayError } from '../domain/errors.ts';
import type { Upstream } from '../domain/upstream.ts';
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
