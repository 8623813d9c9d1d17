import { createAwaitedBell } from '../db/awaited-bell.ts';
import type { LogStore } from '../db/log-store.ts';
import type { LoggedDecision, LogPosition } from '../domain/decision.ts';
import type { ProjectId } from '../domain/ids.ts';
import { fromRow } from './decision-row.ts';

/** What a watcher gets: a decision with the position after it, or, in quiet times, just the position it is at. */
export type WatchEvent =
  | { readonly kind: 'decision'; readonly logged: LoggedDecision }
  | { readonly kind: 'checkpoint'; readonly position: LogPosition };

export interface WatchRequest {
  readonly projectId: ProjectId;
  /** Where to go on; absent = only what is recorded from now on. */
  readonly position: LogPosition | undefined;
  readonly matches: (logged: LoggedDecision) => boolean;
  /** Asked before each page that is read, at least once a second; ends the watch by throwing when the caller may not watch any more. */
  readonly authorize: () => void | Promise<void>;
  readonly signal: AbortSignal;
}

export interface DecisionWatchDeps {
  readonly log: LogStore;
  /** Calls the listener after decisions were committed, here or on another replica; a missed call only delays. */
  readonly onDecision: (listener: () => void) => () => void;
  /** A checkpoint is sent after this much quiet. */
  readonly heartbeatMs?: number;
  /** The log is read this often even when no doorbell rang. */
  readonly pollMs?: number;
}

export type DecisionWatch = ReturnType<typeof createDecisionWatch>;

const PAGE = 256;

/**
 * Follows the decision log in commit order: each decision once, none missed, across replicas and restarts, as long as the watcher
 * comes back with the last position it was given.
 */
export function createDecisionWatch(deps: DecisionWatchDeps) {
  const { log, heartbeatMs = 15_000, pollMs = 1_000 } = deps;

  async function* watch(request: WatchRequest): AsyncGenerator<WatchEvent> {
    const bell = createAwaitedBell(deps.onDecision, request.signal);
    try {
      let position = request.position ?? (await log.head());
      let sentAt = 0;
      while (!request.signal.aborted) {
        bell.reset();
        await request.authorize();
        const rows = await log.readAfter(position, { projectId: request.projectId, limit: PAGE });
        for (const row of rows) {
          const logged = fromRow(row);
          position = logged.position;
          if (request.matches(logged)) {
            sentAt = Date.now();
            yield { kind: 'decision', logged };
          }
        }
        if (rows.length < PAGE) {
          if (Date.now() - sentAt >= heartbeatMs) {
            sentAt = Date.now();
            yield { kind: 'checkpoint', position };
          }
          await bell.wait(pollMs);
        }
      }
    } finally {
      bell.close();
    }
  }

  /** The position after every decision that can be read now. */
  const head = (): Promise<LogPosition> => log.head();

  return { watch, head };
}
