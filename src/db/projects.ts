import type { Kysely, Selectable, Updateable } from 'kysely';
import { GatewayError } from '../domain/errors.ts';
import type { ProjectId } from '../domain/ids.ts';
import type { ApprovalWebhook, Project } from '../domain/project.ts';
import type { Database, ProjectTable } from './database.ts';
import { isForeignKeyViolation, isUniqueViolation } from './violations.ts';

type Db = Kysely<Database>;

/** What an update of a project may set; null for `approvalWebhook` = nobody is told. */
export type ProjectChanges = Partial<
  Pick<Project, 'slug' | 'displayName' | 'recordedArguments' | 'redactedKeys' | 'defaultEffect'>
> & { readonly approvalWebhook?: ApprovalWebhook | null; readonly updateTime: number };

/** Stores a new project; throws `already_exists` when its slug is taken. */
export async function insertProject(db: Db, project: Project): Promise<void> {
  await db.insertInto('projects').values(toRow(project)).execute().catch(slugTaken);
}

/** The project with this id. */
export async function findProject(db: Db, id: ProjectId): Promise<Project | undefined> {
  const row = await db.selectFrom('projects').selectAll().where('id', '=', id).executeTakeFirst();
  return row && fromRow(row);
}

/** The project with this slug. */
export async function findProjectBySlug(db: Db, slug: string): Promise<Project | undefined> {
  const row = await db.selectFrom('projects').selectAll().where('slug', '=', slug).executeTakeFirst();
  return row && fromRow(row);
}

/** A page of projects, oldest first; `afterId` is the last id of the page before. */
export async function listProjects(
  db: Db,
  page: { readonly afterId?: string | undefined; readonly limit: number },
): Promise<Project[]> {
  let query = db.selectFrom('projects').selectAll().orderBy('id').limit(page.limit);
  if (page.afterId !== undefined) query = query.where('id', '>', page.afterId);
  return (await query.execute()).map(fromRow);
}

/** Writes the changes and counts `revision` up; undefined when the stored revision is another one or the project is gone. */
export async function updateProject(
  db: Db,
  id: ProjectId,
  revision: number,
  changes: ProjectChanges,
): Promise<Project | undefined> {
  const row = await db
    .updateTable('projects')
    .set({ ...toColumns(changes), revision: revision + 1 })
    .where('id', '=', id)
    .where('revision', '=', revision)
    .returningAll()
    .executeTakeFirst()
    .catch(slugTaken);
  return row && fromRow(row);
}

/**
 * Deletes an empty project with its ApiKeys, policies, templates and deleted gateways, in a transaction of the caller; false when there is
 * none, `failed_precondition` while it has users, agents, upstreams or active gateways.
 */
export async function deleteProject(db: Db, id: ProjectId): Promise<boolean> {
  // Nobody could delete them any further.
  await db.deleteFrom('gateways').where('project_id', '=', id).where('delete_time', 'is not', null).execute();
  const result = await db.deleteFrom('projects').where('id', '=', id).executeTakeFirst().catch(notEmpty);
  return result.numDeletedRows > 0n;
}

function slugTaken(error: unknown): never {
  if (!isUniqueViolation(error)) throw error;
  throw new GatewayError('already_exists', 'There is a project with this slug. Choose another slug.', { cause: error });
}

function notEmpty(error: unknown): never {
  if (!isForeignKeyViolation(error)) throw error;
  const message = 'The project still has users, agents, upstreams or gateways. Delete them first.';
  throw new GatewayError('failed_precondition', message, { cause: error });
}

function toColumns(changes: ProjectChanges): Updateable<ProjectTable> {
  const { slug, displayName, recordedArguments, redactedKeys, approvalWebhook, defaultEffect, updateTime } = changes;
  return {
    update_time: updateTime,
    ...(slug !== undefined && { slug }),
    ...(displayName !== undefined && { display_name: displayName }),
    ...(recordedArguments !== undefined && { recorded_arguments: recordedArguments }),
    ...(redactedKeys !== undefined && { redacted_keys: JSON.stringify(redactedKeys) }),
    ...(approvalWebhook !== undefined && { approval_webhook: toWebhookColumn(approvalWebhook) }),
    ...(defaultEffect !== undefined && { default_effect: defaultEffect }),
  };
}

function toWebhookColumn(webhook: ApprovalWebhook | null): string | null {
  return webhook === null ? null : JSON.stringify(webhook);
}

function toRow(project: Project): Selectable<ProjectTable> {
  return {
    id: project.id,
    slug: project.slug,
    display_name: project.displayName,
    recorded_arguments: project.recordedArguments,
    default_effect: project.defaultEffect,
    redacted_keys: JSON.stringify(project.redactedKeys),
    approval_webhook: toWebhookColumn(project.approvalWebhook ?? null),
    revision: project.revision,
    create_time: project.createTime,
    update_time: project.updateTime,
  };
}

/** The domain object of a row; the casts trust what the functions above wrote. */
function fromRow(row: Selectable<ProjectTable>): Project {
  return {
    id: row.id as ProjectId,
    slug: row.slug,
    displayName: row.display_name,
    recordedArguments: row.recorded_arguments,
    redactedKeys: JSON.parse(row.redacted_keys) as string[],
    ...(row.approval_webhook !== null && { approvalWebhook: JSON.parse(row.approval_webhook) as ApprovalWebhook }),
    defaultEffect: row.default_effect,
    revision: row.revision,
    createTime: row.create_time,
    updateTime: row.update_time,
  };
}
