import { type Kysely, sql, type Transaction } from 'kysely';
import type { ConfigKind, Database } from './database.ts';
import { CONFIG_CHANNEL } from './postgres-channels.ts';
import type { Store } from './store.ts';

type Db = Kysely<Database>;

/** Something of the hot configuration that was created, changed or deleted. */
export interface ConfigChange {
  /** Value of the configuration's version after the change; versions have no gaps. */
  readonly version: number;
  readonly kind: ConfigKind;
  readonly entityId: string;
}

/** Changes kept; a replica that is further behind reads everything. */
const CHANGES_KEPT = 10_000;

/** How often old changes are removed, in changes. */
const PRUNE_EVERY = 500;

/** Records a change and returns its version; the row it locks until the commit makes versions appear in commit order. */
export async function recordChange(trx: Transaction<Database>, kind: ConfigKind, entityId: string): Promise<number> {
  const { version } = await trx
    .updateTable('config_state')
    .set((columns) => ({ version: columns('version', '+', 1) }))
    .where('id', '=', 1)
    .returning('version')
    .executeTakeFirstOrThrow();
  await trx.insertInto('config_changes').values({ version, kind, entity_id: entityId }).execute();
  if (version % PRUNE_EVERY === 0) await pruneChanges(trx, version - CHANGES_KEPT);
  return version;
}

/** Makes other writers of the configuration wait until the transaction ends, on every replica. */
export async function lockConfig(trx: Transaction<Database>): Promise<void> {
  await trx
    .updateTable('config_state')
    .set((columns) => ({ version: columns.ref('version') }))
    .where('id', '=', 1)
    .execute();
}

/** The version of the newest committed change. */
export async function readConfigVersion(db: Db): Promise<number> {
  const query = db.selectFrom('config_state').select('version').where('id', '=', 1);
  return (await query.executeTakeFirstOrThrow()).version;
}

/** The changes after a version in their order, or undefined when some of them are no longer kept. */
export async function readChangesSince(db: Db, version: number): Promise<ConfigChange[] | undefined> {
  const newest = await readConfigVersion(db);
  if (newest === version) return [];
  const rows = await db
    .selectFrom('config_changes')
    .selectAll()
    .where('version', '>', version)
    .where('version', '<=', newest)
    .orderBy('version')
    .execute();
  if (rows.length !== newest - version) return undefined;
  return rows.map((row) => ({ version: row.version, kind: row.kind, entityId: row.entity_id }));
}

/** Removes changes up to and including a version. */
export async function pruneChanges(db: Db, version: number): Promise<void> {
  await db.deleteFrom('config_changes').where('version', '<=', version).execute();
}

/** Notes that something must be read again once the transaction has committed. */
export type Changed = (kind: ConfigKind, entityId: string) => void;

/**
 * Runs `write` in a transaction, records the changes it names and rings the doorbell. Resolves after this replica's listeners
 * have read the change; other replicas follow. Nothing is recorded when it names none.
 */
export async function withChanges<Result>(
  store: Pick<Store, 'kind' | 'db' | 'ringConfig'>,
  write: (trx: Transaction<Database>, changed: Changed) => Promise<Result>,
): Promise<Result> {
  const changes: { kind: ConfigKind; entityId: string }[] = [];
  const result = await store.db.transaction().execute(async (trx) => {
    const written = await write(trx, (kind, entityId) => changes.push({ kind, entityId }));
    for (const change of changes) await recordChange(trx, change.kind, change.entityId);
    if (changes.length > 0 && store.kind === 'postgres')
      await sql`select pg_notify(${CONFIG_CHANNEL}, '')`.execute(trx);
    return written;
  });
  if (changes.length > 0) await store.ringConfig();
  return result;
}

/** {@link withChanges} for the write of one resource. */
export function withChange<Result>(
  store: Pick<Store, 'kind' | 'db' | 'ringConfig'>,
  kind: ConfigKind,
  entityId: string,
  write: (trx: Transaction<Database>) => Promise<Result>,
): Promise<Result> {
  return withChanges(store, (trx, changed) => {
    changed(kind, entityId);
    return write(trx);
  });
}
