import { describe, expect, it } from 'vitest';
import { createGate } from '../../src/authn/gate.ts';

describe('a gate', () => {
  it('lets so many run at once, the others in their order, and refuses when too many wait', async () => {
    const gate = createGate({ maxRunning: 2, maxWaiting: 2 });
    const started: string[] = [];
    const ends = new Map<string, () => void>();
    const run = (name: string) =>
      gate.run(() => {
        started.push(name);
        return new Promise<string>((resolve) => ends.set(name, () => resolve(name)));
      });
    const results = ['a', 'b', 'c', 'd'].map(run);
    await expect(run('e')).rejects.toMatchObject({ reason: 'unavailable', retryAfterMs: 3000 });
    expect(started).toStrictEqual(['a', 'b']);
    ends.get('b')?.();
    await results[1];
    await Promise.resolve();
    expect(started).toStrictEqual(['a', 'b', 'c']);
    ends.get('a')?.();
    ends.get('c')?.();
    await results[2];
    await Promise.resolve();
    ends.get('d')?.();
    expect(await Promise.all(results)).toStrictEqual(['a', 'b', 'c', 'd']);
  });

  it('opens again after work that failed', async () => {
    const gate = createGate({ maxRunning: 1, maxWaiting: 1 });
    await expect(gate.run(() => Promise.reject(new Error('failed')))).rejects.toThrow('failed');
    expect(await gate.run(() => Promise.resolve('done'))).toBe('done');
  });
});
