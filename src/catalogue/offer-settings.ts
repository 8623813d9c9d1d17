/** How long offers are waited for, believed and kept; all in milliseconds but where it says otherwise. */
export interface OfferSettings {
  /** Wait for what was never read. */
  readonly firstWaitMs: number;
  /** Wait for what was never read of an upstream that fails or is slow for others. */
  readonly troubledWaitMs: number;
  /** Wait for lists of which it is known that they changed. */
  readonly changedWaitMs: number;
  /** Longest time that one reading of all lists may take. */
  readonly fetchMs: number;
  /** Shortest time between two readings, whatever an upstream says of changes. */
  readonly refetchMs: number;
  /** Shortest time between two reports of changes. */
  readonly announceMs: number;
  /** Good for this long where every change is heard. */
  readonly heardMs: number;
  /** Good for this long where changes are not heard, unless the upstream says how long. */
  readonly unheardMs: number;
  /** Good for at least this long, whatever the upstream says. */
  readonly shortestMs: number;
  /** First wait after a failure; it doubles with each further one. */
  readonly retryMs: number;
  readonly longestRetryMs: number;
  /** In use for this long after it was last asked for: changes are listened for, and failures tried again. */
  readonly usedMs: number;
  /** How often it is looked for what is not in use any more. */
  readonly sweepMs: number;
  /** Forgotten when not asked for this long. */
  readonly forgetMs: number;
  /** Most that is held of all lists together, in UTF-16 code units of JSON. */
  readonly maxSize: number;
  /** Most kinds of viewers of all upstreams together. */
  readonly maxEntries: number;
  /** Most kinds of viewers that one principal is at one upstream: each is a conversation with it, and what kind one is the client says. */
  readonly maxOfPrincipal: number;
}

export const OFFER_SETTINGS: OfferSettings = {
  firstWaitMs: 10_000,
  troubledWaitMs: 50,
  changedWaitMs: 5_000,
  fetchMs: 120_000,
  refetchMs: 100,
  announceMs: 1_000,
  heardMs: 5 * 60_000,
  unheardMs: 60_000,
  shortestMs: 1_000,
  retryMs: 1_000,
  longestRetryMs: 30_000,
  usedMs: 5 * 60_000,
  sweepMs: 30_000,
  forgetMs: 15 * 60_000,
  maxSize: 64 * 1024 * 1024,
  maxEntries: 10_000,
  maxOfPrincipal: 32,
};

/** For how long lists are good; `ttlMs` = what the upstream says of that. */
export function lifetimeOf(settings: OfferSettings, isHeard: boolean, ttlMs: number | undefined): number {
  const { heardMs, unheardMs, shortestMs } = settings;
  return isHeard ? heardMs : Math.min(heardMs, Math.max(shortestMs, ttlMs ?? unheardMs));
}
