import { GatewayError } from '../domain/errors.ts';
import type { Principal } from '../domain/principal.ts';
import type { Era, Upstream } from '../domain/upstream.ts';
import type { Channels } from './channels.ts';
import { modernHeaders } from './discover.ts';
import type { EraBook } from './era.ts';
import { GATEWAY_INITIALIZE, MODERN_META } from './gateway-client.ts';
import type { UpstreamHealth } from './health.ts';
import { callOverHttp, type HttpAnswer } from './http-call.ts';
import { type JsonObject, metaOf } from './message.ts';
import { createOwnSessions, type OwnSessionsOptions, responseIn } from './own-sessions.ts';
import { nameHeader, paramHeaders } from './param-headers.ts';
import { resultOf, UpstreamRpcError } from './rpc-error.ts';
import type { StreamableClient } from './streamable.ts';
import { isToolDefinition, type ToolDefinition } from './tool-definition.ts';

export { UpstreamRpcError } from './rpc-error.ts';

/** The gateway's own calls to upstreams, for the API face: all transports, both eras. */
export interface OwnClient {
  /**
   * The result of one JSON-RPC request for a principal. Throws UpstreamRpcError when the upstream answers with an error, else
   * GatewayError. In the modern era a result may ask for input (`resultType: "input_required"`).
   */
  request(
    upstream: Upstream,
    principal: Principal,
    method: string,
    params: JsonObject,
    options?: CallOptions,
  ): Promise<JsonObject>;
  /** All tools of the upstream as it describes them, of all pages. */
  listTools(upstream: Upstream, principal: Principal, options?: CallOptions): Promise<readonly ToolDefinition[]>;
  /** The upstream was changed or removed. */
  forget(upstreamId: string): void;
  close(): void;
}

export interface CallOptions {
  readonly signal?: AbortSignal;
}

export interface OwnClientDeps {
  readonly client: StreamableClient;
  readonly channels: Channels;
  readonly eras: EraBook;
  readonly health: UpstreamHealth;
  readonly sessions?: Omit<OwnSessionsOptions, 'client'>;
}

const MAX_PAGES = 100;
const HEADER_MISMATCH = -32020;

/** Makes the client; it keeps one legacy session for each principal and upstream. */
export function createOwnClient(deps: OwnClientDeps): OwnClient {
  const { client, channels, eras, health } = deps;
  const sessions = createOwnSessions({ client, ...deps.sessions });
  let lastId = 0;

  const send: OwnClient['request'] = async (upstream, principal, method, params, { signal } = {}) => {
    const era: Era = (await eras.probe(upstream)).modern === true ? 'modern' : 'legacy';
    const message = {
      jsonrpc: '2.0',
      id: ++lastId,
      method,
      params: era === 'modern' ? withModernMeta(params) : params,
    };
    if (upstream.transport.kind !== 'streamable_http') {
      return resultOf(upstream, await callOverChannel(channels, upstream, principal, era, message, signal));
    }
    if (era === 'legacy') {
      return resultOf(upstream, responseIn(upstream, await sessions.call(upstream, principal.id, message, signal)));
    }
    const answer = await callModern(client, upstream, message, {}, signal);
    return resultOf(upstream, responseIn(upstream, answer));
  };

  const request: OwnClient['request'] = async (upstream, principal, method, params, options = {}) => {
    try {
      const result = await send(upstream, principal, method, params, options);
      health.report(upstream.id, true);
      return result;
    } catch (error) {
      if (isHeaderMismatch(error) && method === 'tools/call') {
        return retryWithHeaders(upstream, principal, params, options);
      }
      note(upstream, error);
      throw error;
    }
  };

  const note = (upstream: Upstream, error: unknown): void => {
    const isReached = error instanceof UpstreamRpcError;
    if (isReached || (error instanceof GatewayError && error.reason !== 'canceled')) {
      health.report(upstream.id, isReached);
    }
    if (!isReached) {
      eras.forget(upstream.id);
    }
  };

  /** The upstream wants arguments repeated in headers: its tool list says which. */
  const retryWithHeaders = async (
    upstream: Upstream,
    principal: Principal,
    params: JsonObject,
    options: CallOptions,
  ) => {
    const tools = await listTools(upstream, principal, options);
    const schema = tools.find(({ name }) => name === params['name'])?.['inputSchema'];
    const message = { jsonrpc: '2.0', id: ++lastId, method: 'tools/call', params: withModernMeta(params) };
    const headers = paramHeaders(schema, params['arguments']);
    return resultOf(
      upstream,
      responseIn(upstream, await callModern(client, upstream, message, headers, options.signal)),
    );
  };

  const listTools: OwnClient['listTools'] = async (upstream, principal, options) => {
    const tools: ToolDefinition[] = [];
    let cursor: unknown;
    for (let page = 0; page < MAX_PAGES; page++) {
      const params = cursor === undefined ? {} : { cursor };
      const result = await request(upstream, principal, 'tools/list', params, options);
      tools.push(...(Array.isArray(result['tools']) ? result['tools'].filter(isToolDefinition) : []));
      cursor = result['nextCursor'] ?? undefined;
      if (cursor === undefined) {
        break;
      }
    }
    return tools;
  };

  return { request, listTools, forget: sessions.forget, close: sessions.close };
}

function withModernMeta(params: JsonObject): JsonObject {
  return { ...params, _meta: { ...metaOf(params), ...MODERN_META } };
}

function isHeaderMismatch(error: unknown): boolean {
  return error instanceof UpstreamRpcError && error.code === HEADER_MISMATCH;
}

function callModern(
  client: StreamableClient,
  upstream: Upstream,
  message: JsonObject & { method: string; params: JsonObject },
  extraHeaders: Record<string, string>,
  signal: AbortSignal | undefined,
): Promise<HttpAnswer> {
  const headers = { ...modernHeaders(message.method), ...nameHeader(message.method, message.params), ...extraHeaders };
  return callOverHttp(client, upstream, { headers, message, signal });
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
