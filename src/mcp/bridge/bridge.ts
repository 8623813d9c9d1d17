import type { JsonObject } from '../../domain/json.ts';
import type { Era, Upstream } from '../../domain/upstream.ts';
import type { ForwardEnd } from '../../pipeline/call.ts';
import type { ChannelClient } from '../../upstream/channels.ts';
import type { McpPost, McpRequest } from '../exchange.ts';

/** A client's request, on its way to an upstream that may speak another era. */
export interface BridgeRequest {
  readonly post: McpPost;
  /** With the time-out that holds. */
  readonly upstream: Upstream;
  /** The request in the client's era, with names, URIs and arguments as the upstream knows them. */
  readonly message: JsonObject;
  /** Changes the upstream's result before the client gets it, such as the names in it. */
  readonly mapResult?: (result: JsonObject) => JsonObject;
}

/** Carries requests between any client and any upstream, translating between eras where they differ. */
export interface Bridge {
  /**
   * Sends the request in the upstream's era, passes what comes before the answer on to the client (progress, log messages, requests of
   * the upstream), and answers the client. No byte leaves before `before` has resolved; its rejection becomes the answer. Never
   * rejects: failures are answered.
   */
  forward(request: BridgeRequest, before?: Promise<unknown>): Promise<ForwardEnd>;
  /** A client's response to something that the bridge asked it, on this replica or another; false = it was not asked that. */
  takeAnswer(post: McpPost): Promise<boolean>;
  /** A legacy client cancels a request that is on its way; false = there is none here. */
  cancel(post: McpPost): boolean;
  /** `logging/setLevel` of a legacy client: holds for its session from now on. */
  setLogLevel(post: McpPost, level: string): void;
  /** The era to speak with the upstream for a client of this era: the same where the upstream can. Throws when the upstream cannot be reached. */
  eraFor(upstream: Upstream, clientEra: Era): Promise<Era>;
  /** Who the request's client is at an upstream that is spoken to in this era. */
  clientOf(request: McpRequest & { readonly message?: McpPost['message'] }, upstreamEra: Era): ChannelClient;
}
