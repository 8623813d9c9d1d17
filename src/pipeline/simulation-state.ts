import { GatewayError } from '../domain/errors.ts';
import type { StateRead, StateValue, StateWrite } from '../domain/policy-state.ts';

/** State of rules in memory, read and written as LogStore.decide does it. */
export interface SimulationState {
  /** The state under the keys at a time (Unix milliseconds), in the order of the reads. */
  read(reads: readonly StateRead[], now: number): readonly (StateValue | undefined)[];
  /** Throws `failed_precondition` when that would be more than the gateway wants to hold in memory. */
  write(writes: readonly StateWrite[]): void;
  /** Forgets everything. */
  clear(): void;
}

/** Memory that all simulations of a process share, in bytes, as far as it can be told. */
export interface StateBudget {
  left: number;
}

interface Kept {
  value: number;
  time: number;
  expireTime: number;
  /** Times of the last updates, oldest first; those before `first` are dropped. */
  times: number[];
  first: number;
  /** As many times are read back at most; 0 = not known yet. */
  lag: number;
}

/** What the state of a million keys takes, with room to spare. */
const BUDGET_BYTES = 384 * 1024 * 1024;
/** What a key takes beside its text, and what a time takes; measured. */
const KEY_BYTES = 240;
const TIME_BYTES = 8;
/** Keys that are looked at with each write, to drop what has expired. */
const SWEPT_PER_WRITE = 2;
/** Clocks of replicas may differ by so much: a later decision may be of an earlier time. */
const CLOCK_SKEW_MS = 60_000;

/** Makes what the simulations of a process share. */
export function createStateBudget(bytes = BUDGET_BYTES): StateBudget {
  return { left: bytes };
}

/** Begins without any state. */
export function createSimulationState(budget: StateBudget): SimulationState {
  const states = new Map<string, Kept>();
  let sweep = states.entries();

  const drop = (key: string, kept: Kept) => {
    states.delete(key);
    budget.left += costOf(key, kept);
  };
  const dropSomeExpired = (now: number) => {
    for (let looked = 0; looked < SWEPT_PER_WRITE; looked++) {
      const next = sweep.next();
      if (next.done === true) {
        sweep = states.entries();
        return;
      }
      const [key, kept] = next.value;
      if (kept.expireTime <= now - CLOCK_SKEW_MS) drop(key, kept);
    }
  };
  const writeOne = ({ key, value, time, expireTime, keepsTime }: StateWrite) => {
    const known = states.get(key);
    const kept = known ?? { value, time, expireTime, times: [], first: 0, lag: 0 };
    if (known === undefined) {
      states.set(key, kept);
      budget.left -= costOf(key, kept);
    }
    kept.value = value;
    kept.time = time;
    kept.expireTime = expireTime;
    if (keepsTime) budget.left -= keepTime(kept, time) * TIME_BYTES;
    dropSomeExpired(time);
    if (budget.left < 0) throw tooMuchState();
  };

  return {
    read: (reads, now) =>
      reads.map(({ key, lag }) => {
        const kept = states.get(key);
        if (kept === undefined) return undefined;
        if (lag !== undefined) kept.lag = Math.max(kept.lag, lag);
        return kept.expireTime <= now ? undefined : valueOf(kept, lag);
      }),
    write: (writes) => writes.forEach(writeOne),
    clear() {
      for (const [key, kept] of states) budget.left += costOf(key, kept);
      states.clear();
    },
  };
}

function costOf(key: string, { times, first }: Kept): number {
  return KEY_BYTES + key.length + (times.length - first) * TIME_BYTES;
}

function valueOf({ value, time, times, first }: Kept, lag: number | undefined): StateValue {
  if (lag === undefined) return { value, time };
  const at = times.length - lag;
  const pastTime = at < first ? undefined : times[at];
  return pastTime === undefined ? { value, time } : { value, time, pastTime };
}

/** Adds a time and drops those that nobody reads any more; returns by how many there are more. */
function keepTime(kept: Kept, time: number): number {
  const before = kept.times.length - kept.first;
  kept.times.push(time);
  if (kept.lag > 0) kept.first = Math.max(kept.first, kept.times.length - kept.lag);
  if (kept.first > 64 && kept.first * 2 > kept.times.length) {
    kept.times = kept.times.slice(kept.first);
    kept.first = 0;
  }
  return kept.times.length - kept.first - before;
}

function tooMuchState(): GatewayError {
  return new GatewayError(
    'failed_precondition',
    'The rules keep too much state about these decisions to be simulated now. Choose a shorter time range, or try again when no other simulation runs.',
  );
}
