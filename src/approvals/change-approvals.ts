import { sql, type Transaction } from 'kysely';
import { type ApprovalRecord, insertApproval, updateApproval } from '../db/approvals.ts';
import { lockConfig, recordChange } from '../db/config-changes.ts';
import type { Database } from '../db/database.ts';
import { CONFIG_CHANNEL } from '../db/postgres-channels.ts';
import { findProject } from '../db/projects.ts';
import type { Store } from '../db/store.ts';
import { insertDelivery } from '../db/webhook-deliveries.ts';
import type { Approval } from '../domain/approval.ts';
import { GatewayError } from '../domain/errors.ts';
import { newId } from '../domain/ids.ts';
import { approvalEvent } from './approval-event.ts';

/** A transaction in which approvals are read and written; no other one overlaps it, on any replica. */
export interface ApprovalWriting {
  readonly trx: Transaction<Database>;
  /** Unix milliseconds, of a clock that was read after all earlier writes. */
  readonly now: number;
  insert(approval: Approval): Promise<ApprovalRecord>;
  /** Writes what an approval became. */
  update(before: ApprovalRecord, after: Approval): Promise<ApprovalRecord>;
}

export interface ChangeDeps {
  readonly store: Pick<Store, 'kind' | 'db' | 'ringConfig'>;
  readonly now: () => number;
}

/**
 * Runs a read-check-write of approvals. Each write gets a version of its own, so that versions order all changes as they were
 * committed; replicas hear of it, and the project's webhook is told. Resolves when this replica's listeners have heard it.
 */
export async function changeApprovals<Result>(
  { store, now }: ChangeDeps,
  change: (writing: ApprovalWriting) => Promise<Result>,
): Promise<Result> {
  let hasChanged = false;
  const result = await store.db.transaction().execute(async (trx) => {
    await lockConfig(trx);
    const time = now();
    const write = async (before: ApprovalRecord | undefined, after: Approval): Promise<ApprovalRecord> => {
      hasChanged = true;
      return writeApproval(trx, before, after, time);
    };
    const insert = (approval: Approval) => write(undefined, approval);
    const changed = await change({ trx, now: time, insert, update: write });
    if (hasChanged && store.kind === 'postgres') await sql`select pg_notify(${CONFIG_CHANNEL}, '')`.execute(trx);
    return changed;
  });
  if (hasChanged) await store.ringConfig();
  return result;
}

async function writeApproval(
  trx: Transaction<Database>,
  before: ApprovalRecord | undefined,
  after: Approval,
  now: number,
): Promise<ApprovalRecord> {
  const changeVersion = await recordChange(trx, 'approval', after.id);
  const updateTime = before?.state === after.state ? before.updateTime : Math.max(now, after.updateTime);
  const written = { ...after, updateTime, changeVersion, revision: (before?.revision ?? 0) + 1 };
  if (before === undefined) {
    await insertApproval(trx, written);
  } else if (!(await updateApproval(trx, written))) {
    throw new GatewayError(
      'internal',
      `The approval ${after.id} was written by something that does not take the lock.`,
    );
  }
  await tellWebhook(trx, before, written, now);
  return written;
}

async function tellWebhook(
  trx: Transaction<Database>,
  before: Approval | undefined,
  after: Approval,
  now: number,
): Promise<void> {
  const project = await findProject(trx, after.projectId);
  if (project?.approvalWebhook === undefined) return;
  await insertDelivery(trx, {
    id: newId(now),
    projectId: after.projectId,
    approvalId: after.id,
    body: approvalEvent(before, after, now),
    attempts: 0,
    nextTime: now,
    createTime: now,
  });
}
