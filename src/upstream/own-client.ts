import { GatewayError } from '../domain/errors.ts';
import type { Principal } from '../domain/principal.ts';
import type { Upstream } from '../domain/upstream.ts';
import type { Channels } from './channels.ts';
import { type EraBook, pickEra } from './era.ts';
import { GATEWAY_INITIALIZE, MODERN_META } from './gateway-client.ts';
import type { UpstreamHealth } from './health.ts';
import { type JsonObject, metaOf } from './message.ts';
import { paramHeaders } from './param-headers.ts';
import { resultOf, UpstreamRpcError } from './rpc-error.ts';
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
}

export interface CallOptions {
  readonly signal?: AbortSignal;
  /** Longest silence, in milliseconds, instead of the upstream's own. */
  readonly timeoutMs?: number;
}

export interface OwnClientDeps {
  readonly channels: Channels;
  readonly eras: EraBook;
  readonly health: UpstreamHealth;
}

/** One request of the gateway's own. */
interface OwnCall {
  readonly method: string;
  readonly params: JsonObject;
  readonly signal: AbortSignal;
  readonly timeoutMs?: number;
  /** `Mcp-Param-*` headers. */
  readonly headers?: Record<string, string>;
}

const MAX_PAGES = 100;
const HEADER_MISMATCH = -32020;

/** Makes the client. */
export function createOwnClient(deps: OwnClientDeps): OwnClient {
  const send = createSender(deps);

  const request: OwnClient['request'] = async (upstream, principal, method, params, options = {}) => {
    const { signal = new AbortController().signal, timeoutMs } = options;
    const call = { method, params, signal, ...(timeoutMs === undefined ? {} : { timeoutMs }) };
    try {
      const result = await send(upstream, principal, call);
      deps.health.report(upstream.id, true);
      return result;
    } catch (error) {
      if (isHeaderMismatch(error) && method === 'tools/call') {
        // The upstream wants arguments repeated in headers: its tool list says which.
        const tools = await listTools(upstream, principal, options);
        const schema = tools.find(({ name }) => name === params['name'])?.['inputSchema'];
        const headers = paramHeaders(schema, params['arguments']);
        return send(upstream, principal, { ...call, headers });
      }
      noteFailure(deps, upstream, error);
      throw error;
    }
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

  return { request, listTools };
}

/** Makes what sends one request in the upstream's era, over the channel of its principal. */
function createSender({ channels, eras }: OwnClientDeps) {
  let lastId = 0;
  return async (upstream: Upstream, principal: Principal, call: OwnCall): Promise<JsonObject> => {
    const { method, params, ...options } = call;
    const client = {
      principalId: principal.id,
      sessionId: `api ${principal.id}`,
      initializeParams: GATEWAY_INITIALIZE,
    };
    const connecting = eras.probe(upstream).then((known) => channels.open(upstream, client, pickEra(known, 'modern')));
    const channel = await orCanceled(connecting, call.signal);
    const message = {
      jsonrpc: '2.0',
      id: ++lastId,
      method,
      params: channel.era === 'modern' ? { ...params, _meta: { ...metaOf(params), ...MODERN_META } } : params,
    };
    return resultOf(upstream, await channel.request(message, { ...options, client, onMessage: () => undefined }));
  };
}

/** What is being opened may serve others, so it goes on when this caller goes away. */
async function orCanceled<T>(opening: Promise<T>, signal: AbortSignal): Promise<T> {
  const aborted = Promise.withResolvers<never>();
  const onAbort = () => aborted.reject(new GatewayError('canceled', 'The call was cancelled.'));
  signal.addEventListener('abort', onAbort, { once: true });
  if (signal.aborted) {
    onAbort();
  }
  try {
    return await Promise.race([opening, aborted.promise]);
  } finally {
    signal.removeEventListener('abort', onAbort);
    opening.catch(() => undefined);
  }
}

function isHeaderMismatch(error: unknown): boolean {
  return error instanceof UpstreamRpcError && error.code === HEADER_MISMATCH;
}

/** An error answer is a sign of life; that a caller went away, or that the gateway refused the call, is no sign at all. */
function noteFailure({ health, eras }: OwnClientDeps, upstream: Upstream, error: unknown): void {
  if (error instanceof UpstreamRpcError) {
    health.report(upstream.id, true);
  } else if (error instanceof GatewayError && (error.reason === 'bad_gateway' || error.reason === 'upstream_timeout')) {
    health.report(upstream.id, false);
    eras.forget(upstream.id);
  }
}
