import type { Kysely, Selectable } from 'kysely';
import { GatewayError } from '../domain/errors.ts';
import type { Gateway } from '../domain/gateway.ts';
import type { GatewayId, ProjectId } from '../domain/ids.ts';
import type { Database, GatewayTable } from './database.ts';
import { isUniqueViolation } from './violations.ts';

type Db = Kysely<Database>;

/** Fields of Gateway that have a column of their own; the others are kept as JSON in `config`. */
type ColumnField = 'id' | 'projectId' | 'slug' | 'version' | 'deleteTime' | 'revision' | 'createTime' | 'updateTime';

type GatewayConfig = Omit<Gateway, ColumnField>;

/** Stores a new gateway; throws `already_exists` when another one, deleted or not, has its slug and version in the project. */
export async function insertGateway(db: Db, gateway: Gateway): Promise<void> {
  await db.insertInto('gateways').values(toRow(gateway)).execute().catch(slugTaken);
}

/** The gateway with this id, deleted or not, in any project. */
export async function findGateway(db: Db, id: GatewayId): Promise<Gateway | undefined> {
  return (await findGateways(db, [id]))[0];
}

/** Those of the gateways that exist, deleted or not, in the order of their ids; at most a few hundred ids at once. */
export async function findGateways(db: Db, ids: readonly string[]): Promise<Gateway[]> {
  if (ids.length === 0) return [];
  const rows = await db.selectFrom('gateways').selectAll().where('id', 'in', ids).orderBy('id').execute();
  return rows.map(fromRow);
}

/** The gateway of the project with this slug and version, deleted or not. */
export async function findGatewayBySlug(
  db: Db,
  projectId: ProjectId,
  slug: string,
  version: string,
): Promise<Gateway | undefined> {
  const row = await db
    .selectFrom('gateways')
    .selectAll()
    .where('project_id', '=', projectId)
    .where('slug', '=', slug)
    .where('version', '=', version)
    .executeTakeFirst();
  return row && fromRow(row);
}

/** The gateways of the project with this slug, deleted ones included, oldest first; at most 100. */
export async function listGatewayVersions(db: Db, projectId: ProjectId, slug: string): Promise<Gateway[]> {
  const rows = await db
    .selectFrom('gateways')
    .selectAll()
    .where('project_id', '=', projectId)
    .where('slug', '=', slug)
    .orderBy('id')
    .limit(100)
    .execute();
  return rows.map(fromRow);
}

/** A page of gateways, deleted ones included, oldest first, of one project or (for the snapshot) of all. */
export async function listGateways(
  db: Db,
  page: {
    readonly projectId?: ProjectId | undefined;
    readonly afterId?: string | undefined;
    readonly limit: number;
  },
): Promise<Gateway[]> {
  let query = db.selectFrom('gateways').selectAll().orderBy('id').limit(page.limit);
  if (page.projectId !== undefined) query = query.where('project_id', '=', page.projectId);
  if (page.afterId !== undefined) query = query.where('id', '>', page.afterId);
  return (await query.execute()).map(fromRow);
}

/** Writes the gateway, with a `revision` that is one higher; undefined when the stored revision is another one. */
export async function updateGateway(db: Db, gateway: Gateway): Promise<Gateway | undefined> {
  const changed = { ...gateway, revision: gateway.revision + 1 };
  const result = await db
    .updateTable('gateways')
    .set(toRow(changed))
    .where('id', '=', gateway.id)
    .where('revision', '=', gateway.revision)
    .executeTakeFirst();
  return result.numUpdatedRows > 0n ? changed : undefined;
}

function slugTaken(error: unknown): never {
  if (!isUniqueViolation(error)) throw error;
  const message =
    'There is a gateway with this slug and version in the project. Choose another slug or version, or, if it is deleted, bring it back with UndeleteGateway.';
  throw new GatewayError('already_exists', message, { cause: error });
}

function toRow(gateway: Gateway): Selectable<GatewayTable> {
  const { id, projectId, slug, version, deleteTime, revision, createTime, updateTime, ...config } = gateway;
  return {
    id,
    project_id: projectId,
    slug,
    version,
    config: JSON.stringify(config satisfies GatewayConfig),
    delete_time: deleteTime ?? null,
    revision,
    create_time: createTime,
    update_time: updateTime,
  };
}

/** The domain object of a row; the casts trust what the functions above wrote. */
function fromRow(row: Selectable<GatewayTable>): Gateway {
  return {
    ...(JSON.parse(row.config) as GatewayConfig),
    id: row.id as GatewayId,
    projectId: row.project_id as ProjectId,
    slug: row.slug,
    version: row.version,
    ...(row.delete_time === null ? {} : { deleteTime: row.delete_time }),
    revision: row.revision,
    createTime: row.create_time,
    updateTime: row.update_time,
  };
}
