import type { Kysely, Selectable } from 'kysely';
import { GatewayError } from '../domain/errors.ts';
import type { ProjectId, UpstreamId } from '../domain/ids.ts';
import type { Upstream } from '../domain/upstream.ts';
import type { Database, UpstreamTable } from './database.ts';
import { isUniqueViolation } from './violations.ts';

type Db = Kysely<Database>;

/** Fields of Upstream that have a column of their own; the others are kept as JSON in `config`. */
type ColumnField =
  | 'id'
  | 'projectId'
  | 'slug'
  | 'version'
  | 'sealedSecrets'
  | 'enabled'
  | 'revision'
  | 'createTime'
  | 'updateTime';

type UpstreamConfig = Omit<Upstream, ColumnField>;

/** Fields that a change takes away by null. */
type Removable = 'era' | 'inputGuardrails' | 'outputGuardrails';

/** What an update of an upstream may set; null for `era` = found out by asking again, for guardrails = none. */
export type UpstreamChanges = Partial<
  Omit<Upstream, 'id' | 'projectId' | 'version' | Removable | 'revision' | 'createTime' | 'updateTime'>
> & { readonly [Field in Removable]?: Upstream[Field] | null } & { readonly updateTime: number };

/** Stores a new upstream; throws `already_exists` when another one has its slug and version in the project. */
export async function insertUpstream(db: Db, upstream: Upstream): Promise<void> {
  await db.insertInto('upstreams').values(toRow(upstream)).execute().catch(slugTaken);
}

/** The upstream with this id, in any project. */
export async function findUpstream(db: Db, id: UpstreamId): Promise<Upstream | undefined> {
  return (await findUpstreams(db, [id]))[0];
}

/** Those of the upstreams that exist, in the order of their ids; at most a few hundred ids at once. */
export async function findUpstreams(db: Db, ids: readonly string[]): Promise<Upstream[]> {
  if (ids.length === 0) return [];
  const rows = await db.selectFrom('upstreams').selectAll().where('id', 'in', ids).orderBy('id').execute();
  return rows.map(fromRow);
}

/** The upstream of the project with this slug and version. */
export async function findUpstreamBySlug(
  db: Db,
  projectId: ProjectId,
  slug: string,
  version: string,
): Promise<Upstream | undefined> {
  const row = await db
    .selectFrom('upstreams')
    .selectAll()
    .where('project_id', '=', projectId)
    .where('slug', '=', slug)
    .where('version', '=', version)
    .executeTakeFirst();
  return row && fromRow(row);
}

/** The upstreams of the project with this slug, oldest first; at most 100. */
export async function listUpstreamVersions(db: Db, projectId: ProjectId, slug: string): Promise<Upstream[]> {
  const rows = await db
    .selectFrom('upstreams')
    .selectAll()
    .where('project_id', '=', projectId)
    .where('slug', '=', slug)
    .orderBy('id')
    .limit(100)
    .execute();
  return rows.map(fromRow);
}

/** Every version of the upstreams of the project with these slugs, oldest first; at most a few hundred slugs at once. */
export async function findUpstreamVersions(
  db: Db,
  projectId: ProjectId,
  slugs: readonly string[],
): Promise<Upstream[]> {
  if (slugs.length === 0) return [];
  const query = db.selectFrom('upstreams').selectAll().where('project_id', '=', projectId).where('slug', 'in', slugs);
  return (await query.orderBy('id').execute()).map(fromRow);
}

/** A page of upstreams, oldest first, of one project or (for the snapshot) of all. */
export async function listUpstreams(
  db: Db,
  page: {
    readonly projectId?: ProjectId | undefined;
    readonly afterId?: string | undefined;
    readonly limit: number;
  },
): Promise<Upstream[]> {
  let query = db.selectFrom('upstreams').selectAll().orderBy('id').limit(page.limit);
  if (page.projectId !== undefined) query = query.where('project_id', '=', page.projectId);
  if (page.afterId !== undefined) query = query.where('id', '>', page.afterId);
  return (await query.execute()).map(fromRow);
}

/** Writes the changes and counts `revision` up; undefined when the stored revision is another one or the upstream is gone. */
export async function updateUpstream(
  db: Db,
  id: UpstreamId,
  revision: number,
  changes: UpstreamChanges,
): Promise<Upstream | undefined> {
  const old = await findUpstream(db, id);
  if (old === undefined) return undefined;
  const changed = applyChanges(old, changes);
  const result = await db
    .updateTable('upstreams')
    .set(toRow(changed))
    .where('id', '=', id)
    .where('revision', '=', revision)
    .executeTakeFirst()
    .catch(slugTaken);
  return result.numUpdatedRows > 0n ? changed : undefined;
}

/** Deletes an upstream; false when there is none. */
export async function deleteUpstream(db: Db, id: UpstreamId): Promise<boolean> {
  const result = await db.deleteFrom('upstreams').where('id', '=', id).executeTakeFirst();
  return result.numDeletedRows > 0n;
}

function slugTaken(error: unknown): never {
  if (!isUniqueViolation(error)) throw error;
  const message = 'There is an upstream with this slug and version in the project. Choose another slug or version.';
  throw new GatewayError('already_exists', message, { cause: error });
}

function applyChanges(old: Upstream, changes: UpstreamChanges): Upstream {
  const changed = Object.entries({ ...old, ...changes, revision: old.revision + 1 });
  // Only what may be absent is ever null.
  return Object.fromEntries(changed.filter(([, value]) => value !== null)) as unknown as Upstream;
}

function toRow(upstream: Upstream): Selectable<UpstreamTable> {
  const { id, projectId, slug, version, sealedSecrets, enabled, revision, createTime, updateTime, ...config } =
    upstream;
  return {
    id,
    project_id: projectId,
    slug,
    version,
    config: JSON.stringify(config satisfies UpstreamConfig),
    sealed_secrets: sealedSecrets,
    enabled: enabled ? 1 : 0,
    revision,
    create_time: createTime,
    update_time: updateTime,
  };
}

/** The domain object of a row; the casts trust what the functions above wrote. */
function fromRow(row: Selectable<UpstreamTable>): Upstream {
  return {
    ...(JSON.parse(row.config) as UpstreamConfig),
    id: row.id as UpstreamId,
    projectId: row.project_id as ProjectId,
    slug: row.slug,
    version: row.version,
    sealedSecrets: row.sealed_secrets,
    enabled: row.enabled !== 0,
    revision: row.revision,
    createTime: row.create_time,
    updateTime: row.update_time,
  };
}
