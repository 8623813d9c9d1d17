import type { Kysely } from 'kysely';
import type { AgentRef } from '../../gen/portcullis/v1/agent_pb.ts';
import { findAgent, findAgentBySlug } from '../db/agents.ts';
import type { Database } from '../db/database.ts';
import type { Agent } from '../domain/agent.ts';
import type { PrincipalId, ProjectId } from '../domain/ids.ts';
import { getReferenced } from './reference.ts';

/** The agent of the project that a request names. Throws `permission_denied` when there is none. */
export function getAgent(db: Kysely<Database>, projectId: ProjectId, ref: AgentRef | undefined): Promise<Agent> {
  return getReferenced(projectId, ref, {
    kind: 'agent',
    findById: (id) => findAgent(db, id as PrincipalId),
    findBySlug: (slug) => findAgentBySlug(db, projectId, slug),
  });
}
