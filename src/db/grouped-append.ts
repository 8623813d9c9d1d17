import type { LogBatch } from './log-store.ts';

/** A write on its way. */
export interface Write {
  /** Resolves when the batch is durable, rejects when it is not stored. */
  readonly committed: Promise<void>;
  /** Resolves when the next write may begin; never rejects. */
  readonly ready: Promise<void>;
}

interface Group {
  readonly batches: LogBatch[];
  readonly committed: Promise<void>;
}

/** Merges the batches that arrive before the next write may begin, so that they share its transaction. */
export function groupAppends(start: (batch: LogBatch) => Write): (batch: LogBatch) => Promise<void> {
  let ready: Promise<void> | undefined;
  let next: Group | undefined;

  const write = (batch: LogBatch): Promise<void> => {
    const started = start(batch);
    const ended = started.ready.then(() => {
      if (next === undefined && ready === ended) {
        ready = undefined;
      }
    });
    ready = ended;
    return started.committed;
  };

  const gather = (after: Promise<void>): Group => {
    const batches: LogBatch[] = [];
    const committed = after.then(() => {
      next = undefined;
      return write(merge(batches));
    });
    return { batches, committed };
  };

  return (batch) => {
    if (ready === undefined) {
      return write(batch);
    }
    next ??= gather(ready);
    next.batches.push(batch);
    return next.committed;
  };
}

function merge(batches: readonly LogBatch[]): LogBatch {
  const [first] = batches;
  return first !== undefined && batches.length === 1
    ? first
    : {
        decisions: batches.flatMap(({ decisions }) => decisions),
        outcomes: batches.flatMap(({ outcomes }) => outcomes),
      };
}
