export interface RepeatedOptions {
  readonly everyMs: number;
  /** Hears what a run failed with; the next one comes anyway. */
  readonly onError: (error: unknown) => void;
}

/** A task that runs again and again. */
export interface Repeated {
  /** Runs it soon, though its time has not come. */
  wake(): void;
  /** Aborts the signal of the run in progress, and resolves when it has ended; no other one begins. */
  close(): Promise<void>;
}

/** Runs a task at once and then at intervals, never two runs at a time, without keeping the process alive. */
export function createRepeated(task: (signal: AbortSignal) => Promise<void>, options: RepeatedOptions): Repeated {
  const stop = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  let running: Promise<void> | undefined;
  let isWoken = false;

  const run = async (): Promise<void> => {
    clearTimeout(timer);
    isWoken = false;
    await task(stop.signal).catch((error: unknown) => {
      if (!stop.signal.aborted) options.onError(error);
    });
    running = undefined;
    if (!stop.signal.aborted) timer = setTimeout(start, isWoken ? 0 : options.everyMs).unref();
  };
  const start = (): void => {
    running = run();
  };
  const wake = (): void => {
    isWoken = true;
    if (running === undefined && !stop.signal.aborted) start();
  };
  start();
  return {
    wake,
    async close() {
      stop.abort();
      clearTimeout(timer);
      await running;
    },
  };
}
