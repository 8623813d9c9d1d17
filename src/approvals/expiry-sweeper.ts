import { findApprovals, listExpiredApprovals } from '../db/approvals.ts';
import { type ChangeDeps, changeApprovals } from './change-approvals.ts';
import { createRepeated, type Repeated } from './repeated.ts';
import { approvalAt } from './votes.ts';

export interface ExpirySweeperDeps extends ChangeDeps {
  /** Hears what a sweep failed with; the next one tries again. */
  readonly onError: (error: unknown) => void;
  readonly everyMs?: number;
}

/** Approvals that one transaction writes. */
const BATCH = 50;

/**
 * Writes down that approvals have expired, so that watchers and the webhook hear of it; they read as expired before. Runs on every
 * replica: each approval is written by one of them.
 */
export function startExpirySweeper(deps: ExpirySweeperDeps): Repeated {
  const sweep = async (signal: AbortSignal): Promise<void> => {
    let written = BATCH;
    while (written === BATCH && !signal.aborted) written = await sweepBatch(deps);
  };
  return createRepeated(sweep, { everyMs: deps.everyMs ?? 2_000, onError: deps.onError });
}

/** How many were due. */
async function sweepBatch(deps: ChangeDeps): Promise<number> {
  const due = await listExpiredApprovals(deps.store.db, deps.now(), BATCH);
  if (due.length === 0) return 0;
  await changeApprovals(deps, async ({ trx, now, update }) => {
    // Read again: another replica may have been faster, and this one's clock may have jumped back.
    for (const approval of await findApprovals(trx, due)) {
      const expired = approvalAt(approval, now);
      if (expired !== approval) await update(approval, expired);
    }
  });
  return due.length;
}
