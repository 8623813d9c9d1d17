/** A map that forgets what was not used for a while instead of growing. */
export interface BoundedCache<Key, Value> {
  get(key: Key): Value | undefined;
  set(key: Key, value: Value): void;
}

/**
 * Makes a cache of `capacity` to twice as many entries: when the young generation is full it becomes the old one, and what is asked for
 * in the old one moves back. Every operation takes constant time and a hit in the young generation writes nothing.
 */
export function createBoundedCache<Key, Value>(capacity: number): BoundedCache<Key, Value> {
  let young = new Map<Key, Value>();
  let old = new Map<Key, Value>();

  const set = (key: Key, value: Value): void => {
    if (young.size >= capacity) {
      old = young;
      young = new Map();
    }
    young.set(key, value);
  };

  return {
    set,
    get(key) {
      const recent = young.get(key);
      if (recent !== undefined) {
        return recent;
      }
      const value = old.get(key);
      if (value !== undefined) {
        set(key, value);
      }
      return value;
    },
  };
}
