import { listApprovalChanges } from '../db/approvals.ts';
import { createAwaitedBell } from '../db/awaited-bell.ts';
import { readConfigVersion } from '../db/config-changes.ts';
import type { ApprovalEvent, ApprovalsDeps, ApprovalWatchRequest } from './approvals.ts';
import { approvalAt } from './votes.ts';

export interface ApprovalWatchDeps extends Omit<ApprovalsDeps, 'store'> {
  readonly store: Pick<ApprovalsDeps['store'], 'db'>;
  /** A checkpoint is sent after this much quiet. */
  readonly heartbeatMs?: number;
  /** The table is read this often even when no doorbell rang. */
  readonly pollMs?: number;
}

/** Approvals of one page; each may hold 64 KiB of arguments. */
const PAGE = 64;

/**
 * Makes the watch of approvals: all there are, then each as often as it is found changed, in commit order, across replicas and
 * restarts, as long as the watcher comes back with the last position it was given.
 */
export function createApprovalWatch(deps: ApprovalWatchDeps) {
  const { store, onChange, now, heartbeatMs = 15_000, pollMs = 1_000 } = deps;
  return async function* watch(request: ApprovalWatchRequest): AsyncGenerator<ApprovalEvent> {
    const bell = createAwaitedBell((listener) => onChange(() => void listener()), request.signal);
    try {
      let position = request.position;
      let sentAt = 0;
      let hasCaughtUp = false;
      while (!request.signal.aborted) {
        bell.reset();
        const filter = { ...request.filter, visibility: await request.authorize() };
        // Before the approvals: what is committed in between has a higher version than what was read.
        const head = await readConfigVersion(store.db);
        const time = now();
        const page = { projectId: request.projectId, filter, now: time, afterVersion: position, limit: PAGE };
        const approvals = await listApprovalChanges(store.db, page);
        for (const approval of approvals) {
          position = approval.changeVersion;
          sentAt = performance.now();
          yield { kind: 'approval', approval: approvalAt(approval, time), position };
        }
        if (approvals.length < PAGE) {
          position = Math.max(position, head);
          if (!hasCaughtUp || performance.now() - sentAt >= heartbeatMs) {
            hasCaughtUp = true;
            sentAt = performance.now();
            yield { kind: 'checkpoint', position };
          }
          await bell.wait(pollMs);
        }
      }
    } finally {
      bell.close();
    }
  };
}
