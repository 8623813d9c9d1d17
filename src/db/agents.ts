import type { Kysely, Selectable, Updateable } from 'kysely';
import type { Agent } from '../domain/agent.ts';
import { GatewayError } from '../domain/errors.ts';
import type { PrincipalId, ProjectId } from '../domain/ids.ts';
import type { AgentTable, Database } from './database.ts';
import { isUniqueViolation } from './violations.ts';

type Db = Kysely<Database>;

/** What an update of an agent may set; an `ownerId` of undefined takes the owner away. `updateTime` in Unix milliseconds. */
export type AgentChanges = Partial<Pick<Agent, 'displayName' | 'description' | 'state' | 'teams'>> & {
  readonly ownerId?: PrincipalId | undefined;
  readonly updateTime: number;
};

/** Stores a new agent; throws `already_exists` when its slug is taken in the project. */
export async function insertAgent(db: Db, agent: Agent): Promise<void> {
  await db.insertInto('agents').values(toRow(agent)).execute().catch(slugTaken);
}

/** The agent with this id, in any project. */
export async function findAgent(db: Db, id: PrincipalId): Promise<Agent | undefined> {
  return (await findAgents(db, [id]))[0];
}

/** Those of the agents that exist, in the order of their ids; at most a few hundred ids at once. */
export async function findAgents(db: Db, ids: readonly string[]): Promise<Agent[]> {
  if (ids.length === 0) return [];
  const rows = await db.selectFrom('agents').selectAll().where('id', 'in', ids).orderBy('id').execute();
  return rows.map(fromRow);
}

/** The agent of the project with this slug. */
export async function findAgentBySlug(db: Db, projectId: ProjectId, slug: string): Promise<Agent | undefined> {
  const row = await db
    .selectFrom('agents')
    .selectAll()
    .where('project_id', '=', projectId)
    .where('slug', '=', slug)
    .executeTakeFirst();
  return row && fromRow(row);
}

/** A page of agents, oldest first, of one project or (for the snapshot) of all. */
export async function listAgents(
  db: Db,
  page: {
    readonly projectId?: ProjectId | undefined;
    readonly afterId?: string | undefined;
    readonly limit: number;
  },
): Promise<Agent[]> {
  let query = db.selectFrom('agents').selectAll().orderBy('id').limit(page.limit);
  if (page.projectId !== undefined) query = query.where('project_id', '=', page.projectId);
  if (page.afterId !== undefined) query = query.where('id', '>', page.afterId);
  return (await query.execute()).map(fromRow);
}

/** Writes the changes and counts `revision` up; undefined when the stored revision is another one or the agent is gone. */
export async function updateAgent(
  db: Db,
  id: PrincipalId,
  revision: number,
  changes: AgentChanges,
): Promise<Agent | undefined> {
  const row = await db
    .updateTable('agents')
    .set({ ...toColumns(changes), revision: revision + 1 })
    .where('id', '=', id)
    .where('revision', '=', revision)
    .returningAll()
    .executeTakeFirst();
  return row && fromRow(row);
}

/** Deletes an agent with its ApiKeys; false when there is none. Run it in a transaction. */
export async function deleteAgent(db: Db, id: PrincipalId): Promise<boolean> {
  await db.deleteFrom('api_keys').where('owner_kind', '=', 'agent').where('owner_id', '=', id).execute();
  const result = await db.deleteFrom('agents').where('id', '=', id).executeTakeFirst();
  return result.numDeletedRows > 0n;
}

function slugTaken(error: unknown): never {
  if (!isUniqueViolation(error)) throw error;
  const message = 'There is an agent with this slug in the project. Choose another slug.';
  throw new GatewayError('already_exists', message, { cause: error, metadata: { field: 'slug' } });
}

function toColumns(changes: AgentChanges): Updateable<AgentTable> {
  const { displayName, description, state, teams, updateTime } = changes;
  return {
    update_time: updateTime,
    ...(displayName !== undefined && { display_name: displayName }),
    ...(description !== undefined && { description }),
    ...(state !== undefined && { state }),
    ...(teams !== undefined && { teams: JSON.stringify(teams) }),
    ...('ownerId' in changes && { owner_id: changes.ownerId ?? null }),
  };
}

function toRow(agent: Agent): Selectable<AgentTable> {
  return {
    id: agent.id,
    project_id: agent.projectId,
    slug: agent.slug,
    display_name: agent.displayName,
    description: agent.description,
    state: agent.state,
    owner_id: agent.ownerId ?? null,
    teams: JSON.stringify(agent.teams),
    revision: agent.revision,
    create_time: agent.createTime,
    update_time: agent.updateTime,
  };
}

/** The domain object of a row; the casts trust what the functions above wrote. */
function fromRow(row: Selectable<AgentTable>): Agent {
  return {
    id: row.id as PrincipalId,
    projectId: row.project_id as ProjectId,
    slug: row.slug,
    displayName: row.display_name,
    description: row.description,
    state: row.state,
    ...(row.owner_id !== null && { ownerId: row.owner_id as PrincipalId }),
    teams: JSON.parse(row.teams) as string[],
    revision: row.revision,
    createTime: row.create_time,
    updateTime: row.update_time,
  };
}
