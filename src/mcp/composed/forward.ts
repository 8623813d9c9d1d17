import type { JsonObject } from '../../domain/json.ts';
import type { Upstream } from '../../domain/upstream.ts';
import type { ForwardEnd } from '../../pipeline/call.ts';
import type { EraBook } from '../../upstream/era.ts';
import { nameHeader, paramHeaders } from '../../upstream/param-headers.ts';
import type { Bridge } from '../bridge/bridge.ts';
import type { McpPost } from '../exchange.ts';
import { forwardedHeaders } from '../forwarded-headers.ts';
import { exactValue } from '../json-rpc.ts';
import type { StreamableRelay } from '../streamable-relay.ts';

export interface ForwardDeps {
  readonly bridge: Bridge;
  readonly streamable: StreamableRelay;
  readonly eras: Pick<EraBook, 'erasOf'>;
}

/** A request with names, URIs and arguments as its upstream knows them. */
export interface Forwarding {
  readonly post: McpPost;
  readonly upstream: Upstream;
  /** Longest silence of the upstream, in milliseconds, that the gateway's entry sets; absent = its own. */
  readonly timeoutMs?: number | undefined;
  /** The upstream's schema of the arguments of a tool call; undefined when it is not known. */
  readonly inputSchema?: JsonObject | undefined;
  /** True when the arguments are not those that the client's `Mcp-Param-*` headers repeat. */
  readonly isChanged?: boolean;
  /** Changes the upstream's result before the client gets it. */
  readonly mapResult?: ((result: JsonObject) => JsonObject) | undefined;
}

/** Sends a request on: with the client's own bytes where upstream and client speak the modern era over HTTP, else through the bridge. */
export function forwardTo(deps: ForwardDeps, forwarding: Forwarding, before?: Promise<unknown>): Promise<ForwardEnd> {
  const { post, upstream, timeoutMs, mapResult, inputSchema } = forwarding;
  const { message, era } = post;
  const passes =
    era === 'modern' &&
    mapResult === undefined &&
    upstream.transport.kind === 'streamable_http' &&
    deps.eras.erasOf(upstream).modern === true;
  if (passes) {
    const headers = headersFor(forwarding);
    return deps.streamable.post({ ...post, upstream, headers, timeoutMs }, before);
  }
  const request = {
    post,
    upstream,
    timeoutMs,
    message: exactValue(message),
    ...(mapResult === undefined ? {} : { mapResult }),
    ...(inputSchema === undefined ? {} : { inputSchema }),
  };
  return deps.bridge.forward(request, before);
}

/** The client's headers, with those that repeat what was changed made anew. */
function headersFor({ post, inputSchema, isChanged }: Forwarding): Record<string, string> {
  const { message, request } = post;
  const params = message.params ?? {};
  const headers = Object.assign(forwardedHeaders(request.headers, undefined), nameHeader(message.method, params));
  if (isChanged !== true || inputSchema === undefined) {
    return headers;
  }
  const others = Object.entries(headers).filter(([name]) => !name.startsWith('mcp-param-'));
  return { ...Object.fromEntries(others), ...paramHeaders(inputSchema, params['arguments']) };
}
