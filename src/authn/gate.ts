import { GatewayError } from '../domain/errors.ts';

/** Lets a bounded number of expensive pieces of work run at once, the others wait their turn. */
export interface Gate {
  /** Runs the work when its turn comes; rejects with `unavailable` when too many wait already. */
  run<Result>(work: () => Promise<Result>): Promise<Result>;
}

/** Makes a gate. */
export function createGate(options: { readonly maxRunning: number; readonly maxWaiting: number }): Gate {
  const waiting: (() => void)[] = [];
  let running = 0;

  const enter = (): Promise<void> | undefined => {
    if (running < options.maxRunning) {
      running++;
      return undefined;
    }
    if (waiting.length >= options.maxWaiting) {
      throw new GatewayError('unavailable', 'Too many logins at once. Try again in a few seconds.', {
        retryAfterMs: 3000,
      });
    }
    return new Promise((admit) => waiting.push(admit));
  };

  const leave = (): void => {
    const next = waiting.shift();
    if (next === undefined) {
      running--;
    } else {
      next();
    }
  };

  return {
    async run(work) {
      await enter();
      try {
        return await work();
      } finally {
        leave();
      }
    },
  };
}
