export interface BackoffOptions {
  /** Upper end of the first delay, in milliseconds. */
  readonly firstDelayMs: number;
  /** Upper end of every delay, in milliseconds. */
  readonly maxDelayMs: number;
  /** From 0 up to 1; Math.random by default. */
  readonly random?: () => number;
}

/** Delays between attempts. */
export interface Backoff {
  /** The next delay in milliseconds. */
  next(): number;
  /** Begins again with the first delay. */
  reset(): void;
}

/** Makes delays whose upper end doubles each time; each is drawn from the upper half, so that clients do not come back all at once. */
export function createBackoff({ firstDelayMs, maxDelayMs, random = Math.random }: BackoffOptions): Backoff {
  let attempts = 0;
  return {
    next: () => Math.min(maxDelayMs, firstDelayMs * 2 ** attempts++) * (0.5 + random() / 2),
    reset: () => {
      attempts = 0;
    },
  };
}

/** Resolves after the delay in milliseconds, or as soon as the signal is aborted. */
export function waitUntil(delayMs: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve) => {
    const finish = () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', finish);
      resolve();
    };
    const timer = setTimeout(finish, delayMs);
    signal?.addEventListener('abort', finish);
    if (signal?.aborted === true) {
      finish();
    }
  });
}
