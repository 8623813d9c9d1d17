import type { Kysely, Selectable } from 'kysely';
import type { ApprovalId, ProjectId } from '../domain/ids.ts';
import type { Database, WebhookDeliveryTable } from './database.ts';

type Db = Kysely<Database>;

/** An event that a project's webhook has still to be told. */
export interface WebhookDelivery {
  /** The same at every attempt, so that the receiver can tell a repetition. */
  readonly id: string;
  readonly projectId: ProjectId;
  readonly approvalId: ApprovalId;
  /** The JSON text that is sent. */
  readonly body: string;
  /** Attempts that have begun. */
  readonly attempts: number;
  /** When the next attempt is due, in Unix milliseconds; put off while an attempt runs. */
  readonly nextTime: number;
  readonly createTime: number;
}

/** Puts an event into the outbox; run it in the transaction of the change it tells of. */
export async function insertDelivery(db: Db, delivery: WebhookDelivery): Promise<void> {
  await db.insertInto('webhook_deliveries').values(toRow(delivery)).execute();
}

/** Deliveries that are due at `now` (Unix milliseconds), the longest due first, those of some projects left out. */
export async function listDueDeliveries(
  db: Db,
  request: { readonly now: number; readonly exceptProjects: readonly string[]; readonly limit: number },
): Promise<WebhookDelivery[]> {
  const { now, exceptProjects, limit } = request;
  let query = db
    .selectFrom('webhook_deliveries')
    .selectAll()
    .where('next_time', '<=', now)
    .orderBy('next_time')
    .orderBy('id')
    .limit(limit);
  if (exceptProjects.length > 0) query = query.where('project_id', 'not in', exceptProjects);
  return (await query.execute()).map(fromRow);
}

/** Takes a delivery for one attempt, until a time at which it is due again; undefined when another replica took it, or it is done. */
export async function claimDelivery(
  db: Db,
  delivery: WebhookDelivery,
  until: number,
): Promise<WebhookDelivery | undefined> {
  const row = await db
    .updateTable('webhook_deliveries')
    .set({ attempts: delivery.attempts + 1, next_time: until })
    .where('id', '=', delivery.id)
    .where('attempts', '=', delivery.attempts)
    .where('next_time', '=', delivery.nextTime)
    .returningAll()
    .executeTakeFirst();
  return row && fromRow(row);
}

/** Sets when a claimed delivery is tried again, unless another replica has claimed it since. */
export async function postponeDelivery(db: Db, claimed: WebhookDelivery, nextTime: number): Promise<void> {
  await db
    .updateTable('webhook_deliveries')
    .set({ next_time: nextTime })
    .where('id', '=', claimed.id)
    .where('attempts', '=', claimed.attempts)
    .execute();
}

/** Removes a delivery that is done. */
export async function deleteDelivery(db: Db, id: string): Promise<void> {
  await db.deleteFrom('webhook_deliveries').where('id', '=', id).execute();
}

function toRow(delivery: WebhookDelivery): Selectable<WebhookDeliveryTable> {
  return {
    id: delivery.id,
    project_id: delivery.projectId,
    approval_id: delivery.approvalId,
    body: delivery.body,
    attempts: delivery.attempts,
    next_time: delivery.nextTime,
    create_time: delivery.createTime,
  };
}

/** The domain object of a row; the casts trust what the functions above wrote. */
function fromRow(row: Selectable<WebhookDeliveryTable>): WebhookDelivery {
  return {
    id: row.id,
    projectId: row.project_id as ProjectId,
    approvalId: row.approval_id as ApprovalId,
    body: row.body,
    attempts: row.attempts,
    nextTime: row.next_time,
    createTime: row.create_time,
  };
}
