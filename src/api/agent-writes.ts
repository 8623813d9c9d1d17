import type { Kysely } from 'kysely';
import {
  type CreateAgentRequest,
  CreateAgentRequestSchema,
  CreateAgentResponseSchema,
  type DeleteAgentRequest,
  type UpdateAgentRequest,
} from '../../gen/portcullis/v1/agent_service_pb.ts';
import { deleteAgent, insertAgent, updateAgent } from '../db/agents.ts';
import type { Database } from '../db/database.ts';
import { findUser } from '../db/users.ts';
import type { Agent, AgentState } from '../domain/agent.ts';
import { GatewayError } from '../domain/errors.ts';
import { newId, type PrincipalId, type ProjectId } from '../domain/ids.ts';
import type { Principal } from '../domain/principal.ts';
import { getAgent } from './agent-access.ts';
import { fromAgentStateMessage, toAgentMessage } from './agent-message.ts';
import { writeConfig } from './config-write.ts';
import type { ApiDeps } from './deps.ts';
import { checkEtag, requireWritten } from './etag.ts';
import { requireFullGrants } from './full-grants.ts';
import { present } from './present.ts';
import { runOnce } from './repeatable.ts';
import { targetProjectId } from './target-project.ts';
import { createValidationError } from './validation.ts';

const ACTION = 'manage agents, whose teams decide what they may do on all of them';

/** Adds an agent. Throws `validation_failed` for an owner who is none, or `already_exists` when the slug is taken. */
export async function createAgent(deps: ApiDeps, caller: Principal, request: CreateAgentRequest) {
  const projectId = await targetProjectId(deps, caller, request.project);
  requireFullGrants(caller, ACTION);
  return runOnce(deps, {
    caller,
    projectId,
    request,
    schemas: { request: CreateAgentRequestSchema, response: CreateAgentResponseSchema },
    async write({ trx, changed, now }) {
      const agent: Agent = {
        id: newId<PrincipalId>(now),
        projectId,
        slug: request.slug,
        displayName: request.displayName,
        description: request.description,
        state: 'active',
        ...present({ ownerId: await readOwner(trx, projectId, request.ownerId) }),
        teams: request.teams?.teams ?? [],
        revision: 1,
        createTime: now,
        updateTime: now,
      };
      await insertAgent(trx, agent);
      changed('agent', agent.id);
      return { agent: toAgentMessage(agent) };
    },
  });
}

/** Changes what the request sets. Throws `etag_mismatch`, and `failed_precondition` when a REVOKED agent is to be anything else. */
export async function changeAgent(deps: ApiDeps, caller: Principal, request: UpdateAgentRequest) {
  const projectId = await targetProjectId(deps, caller, request.project);
  requireFullGrants(caller, ACTION);
  const agent = await writeConfig(deps.store, async ({ trx, changed, now }) => {
    const old = await getAgent(trx, projectId, request.agent);
    checkEtag('agent', old, request.etag);
    const changes = present({
      displayName: request.displayName,
      description: request.description,
      state: nextState(old, fromAgentStateMessage(request.state)),
      teams: request.teams?.teams,
    });
    const { ownerId } = request;
    const owner = ownerId === undefined ? {} : { ownerId: await readOwner(trx, projectId, ownerId) };
    changed('agent', old.id);
    const updated = await updateAgent(trx, old.id, old.revision, { ...changes, ...owner, updateTime: now });
    return requireWritten('agent', old.id, updated);
  });
  return { agent: toAgentMessage(agent) };
}

/** Deletes an agent with its ApiKeys. Throws `etag_mismatch`. */
export async function removeAgent(deps: ApiDeps, caller: Principal, request: DeleteAgentRequest) {
  const projectId = await targetProjectId(deps, caller, request.project);
  requireFullGrants(caller, ACTION);
  await writeConfig(deps.store, async ({ trx, changed }) => {
    const old = await getAgent(trx, projectId, request.agent);
    checkEtag('agent', old, request.etag);
    await deleteAgent(trx, old.id);
    changed('agent', old.id);
  });
  return {};
}

function nextState({ state, slug }: Agent, wanted: AgentState | undefined): AgentState | undefined {
  if (state === 'revoked' && wanted !== undefined && wanted !== 'revoked') {
    const message = `The agent '${slug}' is REVOKED for good. Create another one.`;
    throw new GatewayError('failed_precondition', message, { metadata: { condition: 'revoked' } });
  }
  return wanted;
}

/** The owner that a request names; undefined = nobody. */
async function readOwner(db: Kysely<Database>, projectId: ProjectId, id: string): Promise<PrincipalId | undefined> {
  if (id === '') {
    return undefined;
  }
  const user = await findUser(db, id as PrincipalId); // any text; it finds nothing when it is not the id of a user
  if (user === undefined || user.projectId !== projectId) {
    throw createValidationError([{ field: 'owner_id', description: 'must be the id of a user of the project' }]);
  }
  return user.id;
}
