import type { RestartDelay } from './restart-delay.ts';

export interface ReopeningDeps {
  /** True while the connection is missing and somebody listens. */
  readonly isWanted: () => boolean;
  readonly open: () => Promise<unknown>;
  readonly delay: RestartDelay;
}

/** Shortest wait before a lost connection is opened again without a call. */
const SHORTEST_MS = 500;

/** Makes what opens a lost connection again, as often as it takes, for those who listen: they make no call that would. */
export function createReopening({ isWanted, open, delay }: ReopeningDeps): () => void {
  let timer: NodeJS.Timeout | undefined;

  const schedule = (): void => {
    if (timer === undefined && isWanted()) {
      timer = setTimeout(reopen, Math.max(SHORTEST_MS, delay.waitMs)).unref();
    }
  };
  const reopen = (): void => {
    timer = undefined;
    if (isWanted()) {
      open().catch(schedule);
    }
  };
  return schedule;
}
