import type { Principal } from '../domain/principal.ts';
import type { Era, Upstream } from '../domain/upstream.ts';
import type { Channels } from './channels.ts';
import { modernHeaders } from './discover.ts';
import type { EraBook } from './era.ts';
import { GATEWAY_INITIALIZE, MODERN_META } from './gateway-client.ts';
import { callOverHttp } from './http-call.ts';
import { type JsonObject, metaOf } from './message.ts';
import type { OwnSessions } from './own-sessions.ts';
import { nameHeader } from './param-headers.ts';
import { responseIn, resultOf } from './rpc-error.ts';
import type { StreamableClient } from './streamable.ts';

/** One request of the gateway's own. */
export interface OwnCall {
  readonly method: string;
  readonly params: JsonObject;
  /** Headers besides those of every modern request; only streamable HTTP has any. */
  readonly headers?: Record<string, string>;
  readonly signal?: AbortSignal | undefined;
}

export interface OwnCallsDeps {
  readonly client: StreamableClient;
  readonly channels: Channels;
  readonly eras: EraBook;
  readonly sessions: OwnSessions;
}

/** Sends one request in the upstream's era and transport; resolves with its result, rejects as `OwnClient.request` does. */
export type SendOwnCall = (upstream: Upstream, principal: Principal, call: OwnCall) => Promise<JsonObject>;

/** Makes the sender. */
export function createOwnCalls({ client, channels, eras, sessions }: OwnCallsDeps): SendOwnCall {
  let lastId = 0;
  return async (upstream, principal, { method, params, headers = {}, signal }) => {
    const era: Era = (await eras.probe(upstream)).modern === true ? 'modern' : 'legacy';
    const message = {
      jsonrpc: '2.0',
      id: ++lastId,
      method,
      params: era === 'modern' ? { ...params, _meta: { ...metaOf(params), ...MODERN_META } } : params,
    };
    if (upstream.transport.kind !== 'streamable_http') {
      return resultOf(upstream, await callOverChannel(channels, upstream, principal, era, message, signal));
    }
    if (era === 'legacy') {
      return resultOf(upstream, responseIn(upstream, await sessions.call(upstream, principal.id, message, signal)));
    }
    const allHeaders = { ...modernHeaders(method), ...nameHeader(method, params), ...headers };
    const answer = await callOverHttp(client, upstream, { headers: allHeaders, message, signal });
    return resultOf(upstream, responseIn(upstream, answer));
  };
}

async function callOverChannel(
  channels: Channels,
  upstream: Upstream,
  principal: Principal,
  era: Era,
  message: JsonObject,
  signal = new AbortController().signal,
): Promise<JsonObject> {
  const client = { principalId: principal.id, sessionId: `api ${principal.id}`, initializeParams: GATEWAY_INITIALIZE };
  const channel = await channels.open(upstream, client, era);
  return channel.request(message, { client, signal, onMessage: () => undefined });
}
