import { type Kysely, type Selectable, sql, type Updateable } from 'kysely';
import type { ApiKeyId, GatewayId, PrincipalId, ProjectId, UpstreamId } from '../domain/ids.ts';
import type { Scope } from '../domain/principal.ts';
import type { ApiKeySecretTable, ApiKeyTable, Database } from './database.ts';

type Db = Kysely<Database>;

/** One valid text of an ApiKey; during the overlap of a rotation a key has two. Times are Unix milliseconds. */
export interface ApiKeySecret {
  /** SHA-256 of the whole key text, hex. */
  readonly secretHash: string;
  readonly keyPrefix: string;
  readonly createTime: number;
  /** End of the overlap; absent on the newest secret. */
  readonly expireTime?: number;
}

/** Credential of a User or Agent, as stored. Times are Unix milliseconds. */
export interface ApiKeyRecord {
  readonly id: ApiKeyId;
  readonly projectId: ProjectId;
  readonly ownerKind: 'user' | 'agent';
  readonly ownerId: PrincipalId;
  readonly displayName: string;
  readonly scopes: readonly Scope[];
  readonly grants: 'all' | readonly UpstreamId[];
  /** Gateways that it may reach where `grants` is not `all`; absent = none. */
  readonly gatewayGrants?: readonly GatewayId[];
  readonly expireTime?: number;
  readonly revokeTime?: number;
  readonly lastUseTime?: number;
  /** Counts up with every change; the etag of the resource. */
  readonly revision: number;
  readonly createTime: number;
  readonly updateTime: number;
  /** Newest first. */
  readonly secrets: readonly ApiKeySecret[];
}

/** What an update of a key may set; null for `expireTime` = does not expire. */
export type ApiKeyChanges = Partial<Pick<ApiKeyRecord, 'displayName' | 'scopes' | 'grants' | 'gatewayGrants'>> & {
  readonly expireTime?: number | null;
  readonly updateTime: number;
};

/** Stores a new key with its secrets; run it in a transaction. */
export async function insertApiKey(db: Db, key: ApiKeyRecord): Promise<void> {
  await db.insertInto('api_keys').values(toRow(key)).execute();
  const secrets = key.secrets.map((secret) => toSecretRow(key.id, secret));
  if (secrets.length > 0) await db.insertInto('api_key_secrets').values(secrets).execute();
}

/** The key with this id. */
export async function findApiKey(db: Db, id: ApiKeyId): Promise<ApiKeyRecord | undefined> {
  return (await findApiKeys(db, [id]))[0];
}

/** Those of the keys that exist, in the order of their ids; at most a few hundred ids at once. */
export async function findApiKeys(db: Db, ids: readonly string[]): Promise<ApiKeyRecord[]> {
  if (ids.length === 0) return [];
  return withSecrets(db, await db.selectFrom('api_keys').selectAll().where('id', 'in', ids).orderBy('id').execute());
}

/** A page of keys, oldest first, of one project or (for the snapshot) of all. */
export async function listApiKeys(
  db: Db,
  page: {
    readonly projectId?: ProjectId | undefined;
    readonly ownerId?: PrincipalId | undefined;
    readonly afterId?: string | undefined;
    readonly limit: number;
  },
): Promise<ApiKeyRecord[]> {
  let query = db.selectFrom('api_keys').selectAll().orderBy('id').limit(page.limit);
  if (page.projectId !== undefined) query = query.where('project_id', '=', page.projectId);
  if (page.ownerId !== undefined) query = query.where('owner_id', '=', page.ownerId);
  if (page.afterId !== undefined) query = query.where('id', '>', page.afterId);
  const isUnfiltered = page.projectId === undefined && page.ownerId === undefined;
  return withSecrets(db, await query.execute(), isUnfiltered);
}

/** Writes the changes and counts `revision` up; undefined when the stored revision is another one or the key is gone. */
export async function updateApiKey(
  db: Db,
  id: ApiKeyId,
  revision: number,
  changes: ApiKeyChanges,
): Promise<ApiKeyRecord | undefined> {
  const row = await db
    .updateTable('api_keys')
    .set({ ...toColumns(changes), revision: revision + 1 })
    .where('id', '=', id)
    .where('revision', '=', revision)
    .returningAll()
    .executeTakeFirst();
  return row && (await withSecrets(db, [row]))[0];
}

/**
 * Rotates: adds the new secret, lets the others end at `othersExpireTime` at the latest, and drops those that ended before now
 * (= the new secret's `createTime`). Undefined when the key is gone. Run it in a transaction.
 */
export async function addApiKeySecret(
  db: Db,
  id: ApiKeyId,
  secret: ApiKeySecret,
  othersExpireTime: number,
): Promise<ApiKeyRecord | undefined> {
  const row = await db
    .updateTable('api_keys')
    .set((columns) => ({ revision: columns('revision', '+', 1), update_time: secret.createTime }))
    .where('id', '=', id)
    .returningAll()
    .executeTakeFirst();
  if (row === undefined) return undefined;
  await db
    .deleteFrom('api_key_secrets')
    .where('key_id', '=', id)
    .where('expire_time', '<=', secret.createTime)
    .execute();
  await db
    .updateTable('api_key_secrets')
    .set({ expire_time: othersExpireTime })
    .where('key_id', '=', id)
    .where((where) => where.or([where('expire_time', 'is', null), where('expire_time', '>', othersExpireTime)]))
    .execute();
  await db.insertInto('api_key_secrets').values(toSecretRow(id, secret)).execute();
  return (await withSecrets(db, [row]))[0];
}

/** Revokes the key for good and returns it; a second call keeps the first time. Undefined when there is none. */
export async function revokeApiKey(db: Db, id: ApiKeyId, time: number): Promise<ApiKeyRecord | undefined> {
  await db
    .updateTable('api_keys')
    .set((columns) => ({ revoke_time: time, update_time: time, revision: columns('revision', '+', 1) }))
    .where('id', '=', id)
    .where('revoke_time', 'is', null)
    .execute();
  return findApiKey(db, id);
}

/** Keys touched by one statement. */
const TOUCH_CHUNK = 500;

/** Moves `last_use_time` of many keys forward (Unix milliseconds by key id); not a change of the resource. */
export async function touchApiKeys(db: Db, uses: ReadonlyMap<ApiKeyId, number>): Promise<void> {
  const all = [...uses];
  for (let at = 0; at < all.length; at += TOUCH_CHUNK) {
    const rows = all.slice(at, at + TOUCH_CHUNK).map(([id, time]) => sql`(${id}, cast(${time} as bigint))`);
    await sql`with touched (id, time) as (values ${sql.join(rows)})
      update api_keys set last_use_time = touched.time from touched
      where api_keys.id = touched.id and (api_keys.last_use_time is null or api_keys.last_use_time < touched.time)`.execute(
      db,
    );
  }
}

/** `isGapless`: the rows are all keys between the first and the last id; the secrets of thousands are then found by that range. */
async function withSecrets(
  db: Db,
  rows: readonly Selectable<ApiKeyTable>[],
  isGapless = false,
): Promise<ApiKeyRecord[]> {
  const [first, last] = [rows[0]?.id, rows.at(-1)?.id];
  if (first === undefined || last === undefined) return [];
  const secrets = new Map<string, ApiKeySecret[]>(rows.map((row) => [row.id, []]));
  const all = db.selectFrom('api_key_secrets').selectAll().orderBy('create_time', 'desc').orderBy('secret_hash');
  const query = isGapless
    ? all.where('key_id', '>=', first).where('key_id', '<=', last)
    : all.where('key_id', 'in', [...secrets.keys()]);
  for (const secret of await query.execute()) secrets.get(secret.key_id)?.push(fromSecretRow(secret));
  return rows.map((row) => fromRow(row, secrets.get(row.id) ?? []));
}

function toColumns(changes: ApiKeyChanges): Updateable<ApiKeyTable> {
  const { displayName, scopes, grants, gatewayGrants, expireTime, updateTime } = changes;
  return {
    update_time: updateTime,
    ...(displayName !== undefined && { display_name: displayName }),
    ...(scopes !== undefined && { scopes: JSON.stringify(scopes) }),
    ...(grants !== undefined && { grants: JSON.stringify(grants) }),
    ...(gatewayGrants !== undefined && { gateway_grants: JSON.stringify(gatewayGrants) }),
    ...(expireTime !== undefined && { expire_time: expireTime }),
  };
}

function toRow(key: ApiKeyRecord): Selectable<ApiKeyTable> {
  return {
    id: key.id,
    project_id: key.projectId,
    owner_kind: key.ownerKind,
    owner_id: key.ownerId,
    display_name: key.displayName,
    scopes: JSON.stringify(key.scopes),
    grants: JSON.stringify(key.grants),
    gateway_grants: JSON.stringify(key.gatewayGrants ?? []),
    expire_time: key.expireTime ?? null,
    revoke_time: key.revokeTime ?? null,
    last_use_time: key.lastUseTime ?? null,
    revision: key.revision,
    create_time: key.createTime,
    update_time: key.updateTime,
  };
}

function toSecretRow(keyId: ApiKeyId, secret: ApiKeySecret): Selectable<ApiKeySecretTable> {
  return {
    secret_hash: secret.secretHash,
    key_id: keyId,
    key_prefix: secret.keyPrefix,
    create_time: secret.createTime,
    expire_time: secret.expireTime ?? null,
  };
}

/** The domain object of a row; the casts trust what the functions above wrote. */
function fromRow(row: Selectable<ApiKeyTable>, secrets: readonly ApiKeySecret[]): ApiKeyRecord {
  return {
    id: row.id as ApiKeyId,
    projectId: row.project_id as ProjectId,
    ownerKind: row.owner_kind,
    ownerId: row.owner_id as PrincipalId,
    displayName: row.display_name,
    scopes: JSON.parse(row.scopes) as Scope[],
    grants: JSON.parse(row.grants) as 'all' | UpstreamId[],
    ...(row.gateway_grants !== '[]' && { gatewayGrants: JSON.parse(row.gateway_grants) as GatewayId[] }),
    ...(row.expire_time !== null && { expireTime: row.expire_time }),
    ...(row.revoke_time !== null && { revokeTime: row.revoke_time }),
    ...(row.last_use_time !== null && { lastUseTime: row.last_use_time }),
    revision: row.revision,
    createTime: row.create_time,
    updateTime: row.update_time,
    secrets,
  };
}

function fromSecretRow(row: Selectable<ApiKeySecretTable>): ApiKeySecret {
  return {
    secretHash: row.secret_hash,
    keyPrefix: row.key_prefix,
    createTime: row.create_time,
    ...(row.expire_time !== null && { expireTime: row.expire_time }),
  };
}
