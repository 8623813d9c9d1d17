import type { BellListener, Unsubscribe } from './bell.ts';

/** A doorbell as something to wait for. */
export interface AwaitedBell {
  /** Forgets the rings so far. */
  reset(): void;
  /** Resolves at the next ring, at once when it rang since `reset`, or after `ms`. */
  wait(ms: number): Promise<void>;
  close(): void;
}

/** Turns a doorbell into something to wait for; a ring between `reset` and `wait` is not lost, and the signal's end is a ring that stays. */
export function createAwaitedBell(
  subscribe: (listener: BellListener) => Unsubscribe,
  signal: AbortSignal,
): AwaitedBell {
  let rung = false;
  let wake: (() => void) | undefined;
  const ring = () => {
    rung = true;
    wake?.();
  };
  const unsubscribe = subscribe(ring);
  signal.addEventListener('abort', ring);
  return {
    reset: () => {
      rung = signal.aborted;
    },
    wait: (ms) =>
      new Promise<void>((resolve) => {
        if (rung) {
          return resolve();
        }
        const timer = setTimeout(done, ms);
        function done() {
          clearTimeout(timer);
          wake = undefined;
          resolve();
        }
        wake = done;
      }),
    close: () => {
      unsubscribe();
      signal.removeEventListener('abort', ring);
      wake?.();
    },
  };
}
