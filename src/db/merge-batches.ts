import type { LogBatch } from './log-store.ts';

/** One batch with all that is in several, in their order; none of them may change state. */
export function mergeBatches(batches: readonly LogBatch[]): LogBatch {
  const [first] = batches;
  return first !== undefined && batches.length === 1
    ? first
    : {
        decisions: batches.flatMap(({ decisions }) => decisions),
        outcomes: batches.flatMap(({ outcomes }) => outcomes),
      };
}
