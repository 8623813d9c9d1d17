import type { Kysely, Selectable, Updateable } from 'kysely';
import { GatewayError } from '../domain/errors.ts';
import type { PolicyId, ProjectId } from '../domain/ids.ts';
import type { Policy, PolicyContent } from '../domain/policy.ts';
import type { Database, PolicyTable, PolicyVersionTable } from './database.ts';
import { isUniqueViolation } from './violations.ts';

type Db = Kysely<Database>;

/** What an update of a policy may set; `updateTime` in Unix milliseconds. */
export type PolicyChanges = Partial<Pick<Policy, 'content' | 'version' | 'latestVersion'>> & {
  readonly updateTime: number;
};

/** Who wrote a version of a policy; both texts are empty for what a release of the gateway wrote itself. */
export interface PolicyAuthor {
  readonly kind: 'user' | 'agent';
  readonly id: string;
  readonly name: string;
}

/** What a policy said, or as a draft would say, in one version. */
export interface PolicyVersionRecord {
  readonly version: number;
  readonly content: PolicyContent;
  readonly author: PolicyAuthor;
  readonly createTime: number;
}

/**
 * Stores a new policy and its first version; throws `already_exists` when its slug is taken in the project. Run it in a
 * transaction.
 */
export async function insertPolicy(db: Db, policy: Policy, author: PolicyAuthor): Promise<void> {
  await db.insertInto('policies').values(toRow(policy)).execute().catch(slugTaken);
  const { version, content, createTime } = policy;
  await addPolicyVersion(db, policy.id, { version, content, author, createTime });
}

/** The policy with this id, in any project. */
export async function findPolicy(db: Db, id: PolicyId): Promise<Policy | undefined> {
  return (await findPolicies(db, [id]))[0];
}

/** Those of the policies that exist, in the order of their ids; at most a few hundred ids at once. */
export async function findPolicies(db: Db, ids: readonly string[]): Promise<Policy[]> {
  if (ids.length === 0) return [];
  const rows = await db.selectFrom('policies').selectAll().where('id', 'in', ids).orderBy('id').execute();
  return rows.map(fromRow);
}

/** The policy of the project with this slug. */
export async function findPolicyBySlug(db: Db, projectId: ProjectId, slug: string): Promise<Policy | undefined> {
  const query = db.selectFrom('policies').selectAll().where('project_id', '=', projectId).where('slug', '=', slug);
  const row = await query.executeTakeFirst();
  return row && fromRow(row);
}

/** A page of policies, oldest first, of one project or (for the snapshot) of all. */
export async function listPolicies(
  db: Db,
  page: {
    readonly projectId?: ProjectId | undefined;
    readonly afterId?: string | undefined;
    readonly limit: number;
  },
): Promise<Policy[]> {
  let query = db.selectFrom('policies').selectAll().orderBy('id').limit(page.limit);
  if (page.projectId !== undefined) query = query.where('project_id', '=', page.projectId);
  if (page.afterId !== undefined) query = query.where('id', '>', page.afterId);
  return (await query.execute()).map(fromRow);
}

/** Writes the changes and counts `revision` up; undefined when the stored revision is another one or the policy is gone. */
export async function updatePolicy(
  db: Db,
  id: PolicyId,
  revision: number,
  changes: PolicyChanges,
): Promise<Policy | undefined> {
  const row = await db
    .updateTable('policies')
    .set({ ...toColumns(changes), revision: revision + 1 })
    .where('id', '=', id)
    .where('revision', '=', revision)
    .returningAll()
    .executeTakeFirst();
  return row && fromRow(row);
}

/** Deletes a policy with its history; false when there is none. What its rules kept of calls expires by itself. */
export async function deletePolicy(db: Db, id: PolicyId): Promise<boolean> {
  const result = await db.deleteFrom('policies').where('id', '=', id).executeTakeFirst();
  return result.numDeletedRows > 0n;
}

/** Adds a version to a policy's history. */
export async function addPolicyVersion(db: Db, policyId: PolicyId, version: PolicyVersionRecord): Promise<void> {
  await db
    .insertInto('policy_versions')
    .values({
      policy_id: policyId,
      version: version.version,
      content: JSON.stringify(version.content),
      author_kind: version.author.kind,
      author_id: version.author.id,
      author_name: version.author.name,
      create_time: version.createTime,
    })
    .execute();
}

/** One version of a policy. */
export async function findPolicyVersion(
  db: Db,
  policyId: PolicyId,
  version: number,
): Promise<PolicyVersionRecord | undefined> {
  const row = await db
    .selectFrom('policy_versions')
    .selectAll()
    .where('policy_id', '=', policyId)
    .where('version', '=', version)
    .executeTakeFirst();
  return row && fromVersionRow(row);
}

/** A page of a policy's history, newest first; `beforeVersion` is the last version of the page before. */
export async function listPolicyVersions(
  db: Db,
  page: { readonly policyId: PolicyId; readonly beforeVersion?: number | undefined; readonly limit: number },
): Promise<PolicyVersionRecord[]> {
  let query = db
    .selectFrom('policy_versions')
    .selectAll()
    .where('policy_id', '=', page.policyId)
    .orderBy('version', 'desc')
    .limit(page.limit);
  if (page.beforeVersion !== undefined) query = query.where('version', '<', page.beforeVersion);
  return (await query.execute()).map(fromVersionRow);
}

function slugTaken(error: unknown): never {
  if (!isUniqueViolation(error)) throw error;
  const message = 'There is a policy with this slug in the project. Choose another slug.';
  throw new GatewayError('already_exists', message, { cause: error });
}

function toColumns(changes: PolicyChanges): Updateable<PolicyTable> {
  const { content, version, latestVersion, updateTime } = changes;
  return {
    update_time: updateTime,
    ...(content !== undefined && { content: JSON.stringify(content) }),
    ...(version !== undefined && { version }),
    ...(latestVersion !== undefined && { latest_version: latestVersion }),
  };
}

function toRow(policy: Policy): Selectable<PolicyTable> {
  return {
    id: policy.id,
    project_id: policy.projectId,
    slug: policy.slug,
    content: JSON.stringify(policy.content),
    version: policy.version,
    latest_version: policy.latestVersion,
    revision: policy.revision,
    create_time: policy.createTime,
    update_time: policy.updateTime,
  };
}

/** The domain object of a row; the casts trust what the functions above wrote. */
function fromRow(row: Selectable<PolicyTable>): Policy {
  return {
    id: row.id as PolicyId,
    projectId: row.project_id as ProjectId,
    slug: row.slug,
    content: JSON.parse(row.content) as PolicyContent,
    version: row.version,
    latestVersion: row.latest_version,
    revision: row.revision,
    createTime: row.create_time,
    updateTime: row.update_time,
  };
}

/** The cast trusts what {@link addPolicyVersion} wrote. */
function fromVersionRow(row: Selectable<PolicyVersionTable>): PolicyVersionRecord {
  return {
    version: row.version,
    content: JSON.parse(row.content) as PolicyContent,
    author: { kind: row.author_kind, id: row.author_id, name: row.author_name },
    createTime: row.create_time,
  };
}
