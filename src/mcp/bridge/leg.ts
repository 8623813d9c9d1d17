import { GatewayError } from '../../domain/errors.ts';
import type { ChannelClient, ChannelRequestOptions } from '../../upstream/channels.ts';
import { isObject, type JsonObject } from '../../upstream/message.ts';
import { paramHeaders } from '../../upstream/param-headers.ts';
import type { LazyStream } from '../lazy-stream.ts';
import type { BridgeRequest } from './bridge-request.ts';

/** One request of a client on its way, with all that it takes to carry it. */
export interface Leg {
  readonly request: BridgeRequest;
  /** Where messages that come before the answer go. */
  readonly stream: LazyStream;
  /** Aborted when nobody takes the answer any more. */
  readonly signal: AbortSignal;
  /** Who the client is at the upstream. */
  readonly client: ChannelClient;
}

/** How a request of this leg is sent on its channel. */
export function optionsOf(leg: Leg, onMessage: (message: JsonObject) => void): ChannelRequestOptions {
  const { request, client, signal } = leg;
  const { timeoutMs = request.upstream.timeoutMs } = request;
  return { client, signal, onMessage, timeoutMs, headers: paramHeadersOf(request) };
}

/** The arguments that the upstream wants repeated: as its schema says, else as the client itself repeated them. */
function paramHeadersOf({ post, message, inputSchema }: BridgeRequest): Record<string, string> {
  if (inputSchema !== undefined) {
    const { params } = message;
    return paramHeaders(inputSchema, isObject(params) ? params['arguments'] : undefined);
  }
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(post.request.headers)) {
    if (name.startsWith('mcp-param-') && typeof value === 'string') {
      headers[name] = value;
    }
  }
  return headers;
}

/** The error for a message of an upstream that makes no sense. */
export function badMessage({ request }: Pick<Leg, 'request'>, what: string): GatewayError {
  return new GatewayError('bad_gateway', `The upstream "${request.upstream.slug}" ${what}`);
}
