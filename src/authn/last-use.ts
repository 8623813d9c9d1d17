import { touchApiKeys } from '../db/api-keys.ts';
import type { Store } from '../db/store.ts';
import type { ApiKeyId } from '../domain/ids.ts';

/** Keeps `last_use_time` of API keys in memory and writes it now and then, so that a call costs no write. */
export interface LastUseWriter {
  /** Notes that the key was used now. */
  note(id: ApiKeyId): void;
  /** Writes what was noted; what fails is kept for the next time. */
  flush(): Promise<void>;
  /** Writes for the last time and stops. */
  close(): Promise<void>;
}

/** How often to write, and whom to tell of failures. */
export interface LastUseOptions {
  /** Time between writes, in milliseconds; 60,000 by default. */
  readonly intervalMs?: number;
  readonly now: () => number;
  /** Hears of a write that failed. */
  readonly onError: (error: unknown) => void;
}

/** Starts a writer over the store. */
export function createLastUseWriter(store: Pick<Store, 'db'>, options: LastUseOptions): LastUseWriter {
  let uses = new Map<ApiKeyId, number>();

  const flush = async (): Promise<void> => {
    const writing = uses;
    if (writing.size === 0) {
      return;
    }
    uses = new Map();
    try {
      await touchApiKeys(store.db, writing);
    } catch (error) {
      uses = new Map([...writing, ...uses]);
      options.onError(error);
    }
  };

  const timer = setInterval(() => void flush(), options.intervalMs ?? 60_000);
  timer.unref();
  return {
    note: (id) => void uses.set(id, options.now()),
    flush,
    close() {
      clearInterval(timer);
      return flush();
    },
  };
}
