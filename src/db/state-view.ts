import type { StateRead, StateValue, StateWrite } from '../domain/policy-state.ts';
import type { StateChanges, StateRow, StateTimeRow } from './log-store.ts';
import { toStorableKey } from './state-key.ts';

/** State as it is committed; keys are storable ones. */
export interface StateSource {
  /** The row under the key, also when it has expired. */
  find(key: string): Omit<StateRow, 'key' | 'project_id'> | undefined;
  /** When the update with this number was, in Unix milliseconds. */
  findTime(key: string, updateNumber: number): number | undefined;
}

/** Committed state with the changes of a group of calls on top of it, which are committed together or not at all. */
export interface StateView {
  /** State in the order of the reads; what has expired at `now` (Unix milliseconds) reads as undefined. */
  read(reads: readonly StateRead[], now: number): readonly (StateValue | undefined)[];
  /** All of it or, when it throws, nothing. Throws when a key was not read before each of its writes, or a number can not be stored. */
  write(writes: readonly StateWrite[]): void;
  /** What was written; undefined = nothing. */
  changes(): StateChanges | undefined;
}

interface Entry {
  state: Omit<StateRow, 'key' | 'project_id'> | undefined;
  /** What this group wrote, by update number. */
  times: Map<number, StateTimeRow> | undefined;
}

/** A view without changes yet. */
export function createStateView(source: StateSource): StateView {
  const entries = new Map<string, Entry>();
  const changed = new Map<string, StateRow>();

  const load = (key: string): Entry => {
    const known = entries.get(key);
    if (known !== undefined) return known;
    const entry = { state: source.find(key), times: undefined };
    entries.set(key, entry);
    return entry;
  };

  const readOne = (read: StateRead, now: number): StateValue | undefined => {
    const key = toStorableKey(read.key);
    const { state, times } = load(key);
    if (state === undefined || state.expire_time <= now) return undefined;
    const { value, time } = state;
    const updateNumber = state.updates - (read.lag ?? Number.POSITIVE_INFINITY) + 1;
    if (updateNumber < 1) return { value, time };
    const pastTime = times?.get(updateNumber)?.time ?? source.findTime(key, updateNumber);
    return pastTime === undefined ? { value, time } : { value, time, pastTime };
  };

  const writeOne = (write: StateWrite): void => {
    const key = toStorableKey(write.key);
    const entry = load(key);
    const { value, time, expireTime: expire_time } = write;
    // Counted on even after it expired: times of before may still be there.
    const updates = (entry.state?.updates ?? 0) + 1;
    const row: StateRow = { key, project_id: write.projectId, value, time, updates, expire_time };
    entry.state = row;
    changed.set(key, row);
    if (write.keepsTime) {
      entry.times ??= new Map();
      entry.times.set(updates, { key, update_number: updates, time, expire_time });
    }
  };

  return {
    read: (reads, now) => reads.map((read) => readOne(read, now)),
    write(writes) {
      check(writes, (key) => entries.has(toStorableKey(key)));
      for (const write of writes) writeOne(write);
    },
    changes() {
      if (changed.size === 0) return undefined;
      const states = [...changed.values()];
      return { states, times: states.flatMap(({ key }) => [...(entries.get(key)?.times?.values() ?? [])]) };
    },
  };
}

function check(writes: readonly StateWrite[], wasRead: (key: string) => boolean): void {
  const keys = new Set<string>();
  for (const { key, value, time, expireTime } of writes) {
    if (!wasRead(key) || keys.has(key)) throw new Error(`The state '${key}' was written without being read before.`);
    keys.add(key);
    if (!Number.isFinite(value) || !Number.isSafeInteger(time) || !Number.isSafeInteger(expireTime)) {
      throw new Error(`The state '${key}' can not be stored: ${value} at ${time} until ${expireTime}.`);
    }
  }
}
