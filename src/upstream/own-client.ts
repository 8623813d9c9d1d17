import { GatewayError } from '../domain/errors.ts';
import type { Principal } from '../domain/principal.ts';
import type { Upstream } from '../domain/upstream.ts';
import type { Channels } from './channels.ts';
import type { EraBook } from './era.ts';
import type { UpstreamHealth } from './health.ts';
import type { JsonObject } from './message.ts';
import { createOwnCalls } from './own-calls.ts';
import { createOwnSessions, type OwnSessionsOptions } from './own-sessions.ts';
import { paramHeaders } from './param-headers.ts';
import { UpstreamRpcError } from './rpc-error.ts';
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
  const send = createOwnCalls({ client, channels, eras, sessions });

  const request: OwnClient['request'] = async (upstream, principal, method, params, options = {}) => {
    const { signal } = options;
    try {
      const result = await send(upstream, principal, { method, params, signal });
      health.report(upstream.id, true);
      return result;
    } catch (error) {
      if (isHeaderMismatch(error) && method === 'tools/call') {
        // The upstream wants arguments repeated in headers: its tool list says which.
        const tools = await listTools(upstream, principal, options);
        const schema = tools.find(({ name }) => name === params['name'])?.['inputSchema'];
        return send(upstream, principal, {
          method,
          params,
          signal,
          headers: paramHeaders(schema, params['arguments']),
        });
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

  return { request, listTools, forget: sessions.forget, close: sessions.close };
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
