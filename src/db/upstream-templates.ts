import { type Kysely, PostgresAdapter, type RawBuilder, type Selectable, sql } from 'kysely';
import { GatewayError } from '../domain/errors.ts';
import type { ProjectId, UpstreamTemplateId } from '../domain/ids.ts';
import type { UpstreamTemplate } from '../domain/upstream-template.ts';
import type { Database, UpstreamTemplateTable } from './database.ts';
import { isUniqueViolation } from './violations.ts';

type Db = Kysely<Database>;

/** Fields of UpstreamTemplate that have a column of their own; the others are kept as JSON in `config`. */
type ColumnField = 'id' | 'projectId' | 'slug' | 'createTime';

type TemplateConfig = Omit<UpstreamTemplate, ColumnField>;

/** Stores a new template; throws `already_exists` when its slug is taken in the project. */
export async function insertUpstreamTemplate(db: Db, template: UpstreamTemplate): Promise<void> {
  await db.insertInto('upstream_templates').values(toRow(template)).execute().catch(slugTaken);
}

/** The template of the project with this slug. */
export async function findUpstreamTemplate(
  db: Db,
  projectId: ProjectId,
  slug: string,
): Promise<UpstreamTemplate | undefined> {
  const row = await db
    .selectFrom('upstream_templates')
    .selectAll()
    .where('project_id', '=', projectId)
    .where('slug', '=', slug)
    .executeTakeFirst();
  return row && fromRow(row);
}

/** A page of the templates of a project, ordered by the bytes of their slugs, as JavaScript orders them. */
export async function listUpstreamTemplates(
  db: Db,
  page: { readonly projectId: ProjectId; readonly afterSlug?: string | undefined; readonly limit: number },
): Promise<UpstreamTemplate[]> {
  const slug = bytesOfSlug(db);
  let query = db
    .selectFrom('upstream_templates')
    .selectAll()
    .where('project_id', '=', page.projectId)
    .orderBy(slug)
    .limit(page.limit);
  if (page.afterSlug !== undefined) query = query.where(slug, '>', page.afterSlug);
  return (await query.execute()).map(fromRow);
}

/** Deletes the template; false when there is none. */
export async function deleteUpstreamTemplate(db: Db, id: UpstreamTemplateId): Promise<boolean> {
  const result = await db.deleteFrom('upstream_templates').where('id', '=', id).executeTakeFirst();
  return result.numDeletedRows > 0n;
}

/** PostgreSQL compares by its locale, which may skip hyphens, unless it is told otherwise. */
function bytesOfSlug(db: Db): RawBuilder<string> {
  const postgres = db.getExecutor().adapter instanceof PostgresAdapter;
  return postgres ? sql<string>`slug collate "C"` : sql<string>`slug collate binary`;
}

function slugTaken(error: unknown): never {
  if (!isUniqueViolation(error)) throw error;
  const message = 'There is a template with this slug in the project. Choose another slug.';
  throw new GatewayError('already_exists', message, { cause: error, metadata: { field: 'slug' } });
}

function toRow(template: UpstreamTemplate): Selectable<UpstreamTemplateTable> {
  const { id, projectId, slug, createTime, ...config } = template;
  return {
    id,
    project_id: projectId,
    slug,
    config: JSON.stringify(config satisfies TemplateConfig),
    create_time: createTime,
  };
}

/** The domain object of a row; the casts trust what the functions above wrote. */
function fromRow(row: Selectable<UpstreamTemplateTable>): UpstreamTemplate {
  return {
    ...(JSON.parse(row.config) as TemplateConfig),
    id: row.id as UpstreamTemplateId,
    projectId: row.project_id as ProjectId,
    slug: row.slug,
    createTime: row.create_time,
  };
}
