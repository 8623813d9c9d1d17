import { GatewayError } from '../domain/errors.ts';

/** Counts attempts per name, in this process's memory. */
export interface AttemptLimiter {
  /** Counts one attempt; throws `rate_limit_exceeded` with the time to wait when the window has no more. */
  take(name: string): void;
  /** Does not count the last attempt after all, because it succeeded. */
  giveBack(name: string): void;
}

/** The limit and how it is kept. */
export interface AttemptLimiterOptions {
  /** Attempts per window and name. */
  readonly limit: number;
  readonly windowMs: number;
  /** Names remembered; beyond it the oldest window is forgotten. */
  readonly maxNames?: number;
  readonly now: () => number;
}

interface Window {
  count: number;
  readonly endTime: number;
}

/** Makes a limiter with fixed windows that begin with the first attempt. */
export function createAttemptLimiter({
  limit,
  windowMs,
  maxNames = 10_000,
  now,
}: AttemptLimiterOptions): AttemptLimiter {
  // Windows have one length, so the order of insertion is the order in which they end.
  const windows = new Map<string, Window>();

  const forget = (time: number): void => {
    for (const [name, window] of windows) {
      if (window.endTime > time && windows.size < maxNames) {
        return;
      }
      windows.delete(name);
    }
  };

  const open = (name: string, time: number): Window => {
    forget(time);
    const window = { count: 0, endTime: time + windowMs };
    windows.set(name, window);
    return window;
  };

  return {
    take(name) {
      const time = now();
      const known = windows.get(name);
      const window = known !== undefined && known.endTime > time ? known : open(name, time);
      if (window.count >= limit) {
        const seconds = Math.ceil((window.endTime - time) / 1000);
        throw new GatewayError('rate_limit_exceeded', `Too many attempts. Try again in ${seconds} seconds.`, {
          retryAfterMs: window.endTime - time,
        });
      }
      window.count++;
    },
    giveBack(name) {
      const window = windows.get(name);
      if (window !== undefined && window.count > 0) {
        window.count--;
      }
    },
  };
}
