import type { JsonObject } from '../domain/json.ts';
import type { Principal } from '../domain/principal.ts';
import type { Era, Upstream } from '../domain/upstream.ts';

/** On whose behalf an upstream is asked what it offers. */
export interface Viewer {
  readonly principal: Principal;
  /** The era that the client speaks; an upstream that speaks it too is asked in it. */
  readonly era: Era;
  /** What the client declared that it can do; an upstream may offer more to a client that can more. */
  readonly capabilities: JsonObject;
}

/** Why (some of) what an upstream offers is not known. */
export interface OfferProblem {
  readonly reason: 'unreachable' | 'timeout' | 'invalid' | 'too_large';
  /** For people; names the upstream, holds no secret. */
  readonly message: string;
}

/** What an upstream offers a viewer. Immutable, and the same object until something of it changes. */
export interface Offer {
  readonly upstream: Upstream;
  /** In which the upstream is spoken to. */
  readonly era: Era;
  /** As it declared them in `initialize` or `server/discover`; empty when that is not known. */
  readonly capabilities: JsonObject;
  readonly serverInfo: JsonObject | undefined;
  readonly instructions: string | undefined;
  /** Definitions of all pages, in the upstream's order; what has no `name` (or `uri`, `uriTemplate`) is left out. */
  readonly tools: readonly JsonObject[];
  readonly prompts: readonly JsonObject[];
  readonly resources: readonly JsonObject[];
  readonly resourceTemplates: readonly JsonObject[];
  /** Absent = all of it is known. With a problem, what is known is still there. */
  readonly problem: OfferProblem | undefined;
}
