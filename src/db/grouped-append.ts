import type { LogBatch } from './log-store.ts';

type AppendBatch = (batch: LogBatch) => Promise<void>;

interface Group extends PromiseWithResolvers<void> {
  readonly batches: LogBatch[];
  decisions: number;
}

/** Decisions in a group from which on calls come fast enough for the next group to be worth waiting for. */
const BUSY = 8;
/** Longest wait for a group to fill, from the end of the one before it; only under load. */
const PATIENCE_MS = 1;

/**
 * Merges the batches that arrive while one is written, so that they share the next transaction. A commit costs the same for one row as
 * for sixty, so under load the next group begins when it is as large as the last one; rare calls are written at once.
 */
export function groupAppends(append: AppendBatch): AppendBatch {
  let gathering: Group | undefined;
  let isWriting = false;
  /** How many decisions the last group had, and when it ended. */
  let last = { decisions: 0, endTime: 0 };
  let timer: NodeJS.Timeout | undefined;

  const write = (): void => {
    clearTimeout(timer);
    timer = undefined;
    const group = gathering;
    if (group === undefined) {
      return;
    }
    gathering = undefined;
    isWriting = true;
    append(merge(group.batches))
      .then(group.resolve, group.reject)
      .finally(() => {
        isWriting = false;
        last = { decisions: group.decisions, endTime: performance.now() };
        writeWhenFull();
      });
  };

  const writeWhenFull = (): void => {
    if (isWriting || gathering === undefined) {
      return;
    }
    const isBusy = last.decisions >= BUSY && performance.now() - last.endTime < PATIENCE_MS;
    if (!isBusy || gathering.decisions >= last.decisions) {
      write();
    } else {
      timer ??= setTimeout(write, PATIENCE_MS);
    }
  };

  return (batch) => {
    gathering ??= { ...Promise.withResolvers<void>(), batches: [], decisions: 0 };
    gathering.batches.push(batch);
    gathering.decisions += batch.decisions.length;
    const { promise } = gathering;
    writeWhenFull();
    return promise;
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
