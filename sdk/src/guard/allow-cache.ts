/** Answers ALLOW that still hold. */
export interface AllowCache {
  /** True when the answer to this question was ALLOW at most this many milliseconds ago. */
  has(question: string, maxAgeMs: number): boolean;
  add(question: string): void;
}

const MAX_ENTRIES = 1_000;
/** Longer questions are not kept, so that the cache stays within a few megabytes. */
const MAX_LENGTH = 4_096;

/** Makes an empty cache; when it is full, the oldest answer goes. */
export function createAllowCache(now: () => number = () => performance.now()): AllowCache {
  const times = new Map<string, number>();
  return {
    has(question, maxAgeMs) {
      const time = times.get(question);
      return time !== undefined && now() - time < maxAgeMs;
    },
    add(question) {
      if (question.length > MAX_LENGTH) {
        return;
      }
      // Moves to the end: a Map keeps the place of a key that it has.
      times.delete(question);
      times.set(question, now());
      const [oldest] = times.keys();
      if (times.size > MAX_ENTRIES && oldest !== undefined) {
        times.delete(oldest);
      }
    },
  };
}

const caches = new WeakMap<object, AllowCache>();

/** The cache of a client: one for all of its guards, since a server may be made anew, with its guard, for every request. */
export function getAllowCache(client: object): AllowCache {
  const cache = caches.get(client) ?? createAllowCache();
  caches.set(client, cache);
  return cache;
}
