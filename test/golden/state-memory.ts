import type { StateRead, StateValue, StateWrite } from '../../src/domain/policy-state.ts';

/** The state of rules, kept as the contract of the store says: expired state reads as absent. */
export interface StateMemory {
  read(reads: readonly StateRead[], now: number): (StateValue | undefined)[];
  write(writes: readonly StateWrite[]): void;
  /** The values that are left at a time, by key. */
  valuesAt(now: number): Record<string, number>;
}

/** Makes an empty one. */
export function createStateMemory(): StateMemory {
  const kept = new Map<string, { last: StateWrite; updates: { time: number; expireTime: number }[] }>();
  const find = (key: string, now: number) => {
    const found = kept.get(key);
    return found !== undefined && found.last.expireTime >= now ? found : undefined;
  };
  return {
    read: (reads, now) =>
      reads.map(({ key, lag }) => {
        const found = find(key, now);
        if (found === undefined) return undefined;
        const past = lag === undefined ? undefined : found.updates.at(-lag);
        return {
          value: found.last.value,
          time: found.last.time,
          ...(past !== undefined && past.expireTime >= now && { pastTime: past.time }),
        };
      }),
    write(writes) {
      for (const write of writes) {
        const updates = kept.get(write.key)?.updates ?? [];
        if (write.keepsTime) updates.push({ time: write.time, expireTime: write.expireTime });
        kept.set(write.key, { last: write, updates });
      }
    },
    valuesAt: (now) =>
      Object.fromEntries(
        [...kept.keys()].flatMap((key) => {
          const found = find(key, now);
          return found === undefined ? [] : [[key, found.last.value] as const];
        }),
      ),
  };
}
