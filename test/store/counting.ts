import type { LogStore } from '../../src/db/log-store.ts';
import type { StateValue } from '../../src/domain/policy-state.ts';
import { decision, PROJECT } from './samples.ts';

/** What a call of the tests' rules is like. */
export interface CountedCall {
  /** Id of its decision. */
  readonly id: string;
  readonly key?: string;
  readonly max: number;
  /** Length of the rolling window in milliseconds; an hour by default. */
  readonly windowMs?: number;
  /** When the call is made, in Unix milliseconds; now by default. */
  readonly time?: number;
}

/** Decides a call as a rate rule does: at most `max` in a rolling window. Resolves with whether it was allowed. */
export function decideCounted(log: LogStore, call: CountedCall): Promise<boolean> {
  const { id, key = 'calls', max, windowMs = 3_600_000, time = Date.now() } = call;
  return log.decide([{ key, lag: max }], ([state]) => {
    const allowed = state?.pastTime === undefined || state.pastTime <= time - windowMs;
    const write = { key, projectId: PROJECT, time, keepsTime: true, expireTime: time + windowMs };
    return {
      decision: decision(id, { create_time: time, effect: allowed ? 'allow' : 'deny' }),
      writes: allowed ? [{ ...write, value: (state?.value ?? 0) + 1 }] : [],
      result: allowed,
    };
  });
}

/** Adds to the numbers under the keys; resolves with what they were. */
export function add(log: LogStore, id: string, keys: readonly string[], amount = 1): Promise<(number | undefined)[]> {
  const reads = keys.map((key) => ({ key }));
  return log.decide(reads, (states) => ({
    decision: decision(id),
    writes: keys.map((key, index) => ({
      key,
      projectId: PROJECT,
      value: (states[index]?.value ?? 0) + amount,
      time: Date.now(),
      keepsTime: false,
      expireTime: Date.now() + 3_600_000,
    })),
    result: states.map((state) => state?.value),
  }));
}

/** The state under a key as a call finds it, which itself changes nothing. */
export function peek(log: LogStore, id: string, key: string, lag?: number): Promise<StateValue | undefined> {
  return log.decide([lag === undefined ? { key } : { key, lag }], ([state]) => ({
    decision: decision(id, { effect: 'deny' }),
    writes: [],
    result: state,
  }));
}
