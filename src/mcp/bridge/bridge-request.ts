import type { JsonObject } from '../../domain/json.ts';
import type { Upstream } from '../../domain/upstream.ts';
import type { McpPost } from '../exchange.ts';

/** A client's request, on its way to an upstream that may speak another era. */
export interface BridgeRequest {
  readonly post: McpPost;
  readonly upstream: Upstream;
  /** Longest silence of the upstream, in milliseconds, instead of its own. */
  readonly timeoutMs?: number | undefined;
  /** The request in the client's era, with names, URIs and arguments as the upstream knows them. */
  readonly message: JsonObject;
  /** The upstream's schema of the arguments of a tool call, which tells what is repeated in headers; undefined = the client's own headers do. */
  readonly inputSchema?: JsonObject | undefined;
  /** Changes the upstream's result before the client gets it, such as the names in it. */
  readonly mapResult?: (result: JsonObject) => JsonObject;
}
