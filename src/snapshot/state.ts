import type { Kysely } from 'kysely';
import { listAgents } from '../db/agents.ts';
import { listApiKeys } from '../db/api-keys.ts';
import type { Database } from '../db/database.ts';
import { listEndedSessions } from '../db/ended-sessions.ts';
import { listGateways } from '../db/gateways.ts';
import { listPolicies } from '../db/policies.ts';
import { listProjects } from '../db/projects.ts';
import { listUpstreams } from '../db/upstreams.ts';
import { listUsers } from '../db/users.ts';
import type { Agent } from '../domain/agent.ts';
import type { Gateway } from '../domain/gateway.ts';
import type { ProjectId } from '../domain/ids.ts';
import type { Project } from '../domain/project.ts';
import { addressOf } from '../domain/target.ts';
import type { Upstream } from '../domain/upstream.ts';
import { type Credentials, createCredentials } from './credentials.ts';
import { eachPage } from './each-page.ts';
import { createPolicyIndex, type PolicyIndex } from './policy-index.ts';
import { createSlugIndex, type SlugIndex } from './slug-index.ts';

type Db = Kysely<Database>;

/** All hot configuration of a replica: indexes whose immutable entries are replaced one by one. */
export interface State {
  readonly projects: Map<ProjectId, Project>;
  readonly agents: SlugIndex<Agent>;
  readonly credentials: Credentials;
  readonly upstreams: SlugIndex<Upstream>;
  /** The active ones. */
  readonly gateways: SlugIndex<Gateway>;
  readonly policies: PolicyIndex;
  /** Unix milliseconds at which the session's token expires anyway, by session id. */
  readonly endedSessions: Map<string, number>;
}

/** Nothing yet. */
export function createState(): State {
  const agents = createSlugIndex<Agent>();
  return {
    projects: new Map(),
    agents,
    credentials: createCredentials(agents.findById),
    upstreams: createSlugIndex<Upstream>(addressOf),
    gateways: createSlugIndex<Gateway>(addressOf),
    policies: createPolicyIndex(),
    endedSessions: new Map(),
  };
}

/** Reads everything. */
export async function loadState(db: Db): Promise<State> {
  const { projects, agents, credentials, upstreams, gateways, policies, endedSessions } = createState();
  await eachPage(
    (page) => listProjects(db, page),
    (project) => projects.set(project.id, project),
  );
  await eachPage((page) => listUsers(db, page), credentials.putUser);
  await eachPage((page) => listAgents(db, page), agents.put);
  await eachPage((page) => listApiKeys(db, page), credentials.putKey);
  await eachPage((page) => listUpstreams(db, page), upstreams.put);
  await eachPage((page) => listGateways(db, page), putActive(gateways));
  await eachPage((page) => listPolicies(db, page), policies.put);
  await eachPage(
    async (page) => (await listEndedSessions(db, page)).map((session) => ({ id: session.sessionId, ...session })),
    ({ id, expireTime }) => endedSessions.set(id, expireTime),
  );
  return { projects, agents, credentials, upstreams, gateways, policies, endedSessions };
}

/** Puts gateways into the index as they are read; a deleted one is taken out. */
export function putActive(gateways: SlugIndex<Gateway>): (gateway: Gateway) => void {
  return (gateway) => (gateway.deleteTime === undefined ? gateways.put(gateway) : gateways.delete(gateway.id));
}
