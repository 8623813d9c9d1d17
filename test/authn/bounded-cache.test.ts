import { describe, expect, it } from 'vitest';
import { createBoundedCache } from '../../src/authn/bounded-cache.ts';

describe('a bounded cache', () => {
  it('keeps what is used and forgets what is not', () => {
    const cache = createBoundedCache<string, number>(10);
    cache.set('used', 1);
    cache.set('unused', 2);
    for (let key = 0; key < 100; key++) {
      cache.set(`key ${key}`, key);
      expect(cache.get('used')).toBe(1);
    }
    expect(cache.get('unused')).toBe(undefined);
    expect(cache.get('key 99')).toBe(99);
  });

  it('holds at most twice its capacity', () => {
    const cache = createBoundedCache<number, number>(10);
    for (let key = 0; key < 100; key++) {
      cache.set(key, key);
    }
    const kept = Array.from({ length: 100 }, (_, key) => key).filter((key) => cache.get(key) !== undefined);
    expect(kept.length).toBeLessThanOrEqual(20);
    expect(kept.length).toBeGreaterThanOrEqual(10);
  });
});
