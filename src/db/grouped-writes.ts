interface Group<Item> extends PromiseWithResolvers<void> {
  readonly items: Item[];
  size: number;
}

export interface GroupedWritesOptions<Item> {
  /** Writes a group in one transaction; the next one begins when it has ended. */
  readonly write: (items: readonly Item[]) => Promise<void>;
  /** How many decisions an item stands for, or what else costs time. */
  readonly sizeOf: (item: Item) => number;
  /** Size beyond which nothing is added to a group; no limit by default. */
  readonly maxSize?: number;
}

/** Size of a group from which on calls come fast enough for the next group to be worth waiting for. */
const BUSY = 8;
/** Longest wait for a group to fill, from the end of the one before it; only under load. */
const PATIENCE_MS = 1;

/**
 * Merges what arrives while a group is written, so that it shares the next transaction. A commit costs the same for one row as for
 * sixty, so under load the next group begins when it is as large as the last one; rare calls are written at once. The returned function
 * adds an item and resolves when its group is written, or rejects with what `write` threw.
 */
export function groupWrites<Item>({
  write,
  sizeOf,
  maxSize = Number.POSITIVE_INFINITY,
}: GroupedWritesOptions<Item>): (item: Item) => Promise<void> {
  /** In their order; all but the last are full. */
  const groups: Group<Item>[] = [];
  let isWriting = false;
  /** How large the last group was, and when it ended. */
  let last = { size: 0, endTime: 0 };
  let timer: NodeJS.Timeout | undefined;

  const writeNext = (): void => {
    clearTimeout(timer);
    timer = undefined;
    const group = groups.shift();
    if (group === undefined) {
      return;
    }
    isWriting = true;
    write(group.items)
      .then(group.resolve, group.reject)
      .finally(() => {
        isWriting = false;
        last = { size: group.size, endTime: performance.now() };
        writeWhenFull();
      });
  };

  const writeWhenFull = (): void => {
    const [group, ...others] = groups;
    if (isWriting || group === undefined) {
      return;
    }
    const isBusy = last.size >= BUSY && performance.now() - last.endTime < PATIENCE_MS;
    if (!isBusy || group.size >= last.size || others.length > 0) {
      writeNext();
    } else {
      timer ??= setTimeout(writeNext, PATIENCE_MS);
    }
  };

  return (item) => {
    const size = sizeOf(item);
    let group = groups.at(-1);
    if (group === undefined || group.size + size > maxSize) {
      group = { ...Promise.withResolvers<void>(), items: [], size: 0 };
      groups.push(group);
    }
    group.items.push(item);
    group.size += size;
    const { promise } = group;
    writeWhenFull();
    return promise;
  };
}
