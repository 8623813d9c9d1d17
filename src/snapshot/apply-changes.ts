import type { Kysely } from 'kysely';
import { findAgents } from '../db/agents.ts';
import { findApiKeys, listApiKeys } from '../db/api-keys.ts';
import type { ConfigChange } from '../db/config-changes.ts';
import type { ConfigKind, Database } from '../db/database.ts';
import { findEndedSessions } from '../db/ended-sessions.ts';
import { findGateways } from '../db/gateways.ts';
import { findPolicies } from '../db/policies.ts';
import { findProject } from '../db/projects.ts';
import { findUpstreams } from '../db/upstreams.ts';
import { findUser } from '../db/users.ts';
import type { ApiKeyId, GatewayId, PolicyId, PrincipalId, ProjectId, UpstreamId } from '../domain/ids.ts';
import { eachPage } from './each-page.ts';
import { putActive, type State } from './state.ts';

type Db = Kysely<Database>;

/** What others than the State itself want to know of a round of changes. */
export interface Applied {
  readonly upstreamIds: readonly UpstreamId[];
  readonly gatewayIds: readonly GatewayId[];
  /** Undefined = not known, because everything was read. */
  readonly approvalIds: readonly string[] | undefined;
}

/** Reads again what the changes name, but for approvals, which the State does not hold. */
export async function applyChanges(db: Db, state: State, changes: readonly ConfigChange[]): Promise<Applied> {
  const { credentials, upstreams, gateways, policies, endedSessions } = state;
  const ids = (kind: ConfigKind) => [
    ...new Set(changes.filter((change) => change.kind === kind).map((change) => change.entityId)),
  ];
  // Owners before keys: a key's entry is made of both. Casts: the kind of a change says whose id it holds.
  for (const id of ids('project')) await applyProject(db, state, id as ProjectId);
  for (const id of ids('user')) await applyUser(db, state, id as PrincipalId);
  for (const some of chunks(ids('agent') as PrincipalId[])) await applyAgents(db, state, some);
  for (const some of chunks(ids('api_key') as ApiKeyId[])) {
    applyRows(some, await findApiKeys(db, some), { put: credentials.putKey, delete: credentials.deleteKey });
  }
  const upstreamIds = ids('upstream') as UpstreamId[];
  for (const some of chunks(upstreamIds)) applyRows(some, await findUpstreams(db, some), upstreams);
  const gatewayIds = ids('gateway') as GatewayId[];
  for (const some of chunks(gatewayIds)) {
    applyRows(some, await findGateways(db, some), { put: putActive(gateways), delete: gateways.delete });
  }
  for (const some of chunks(ids('policy') as PolicyId[])) applyRows(some, await findPolicies(db, some), policies);
  for (const some of chunks(ids('ended_session'))) {
    for (const session of await findEndedSessions(db, some)) {
      endedSessions.set(session.sessionId, session.expireTime);
    }
  }
  return { upstreamIds, gatewayIds, approvalIds: ids('approval') };
}

async function applyProject(db: Db, state: State, id: ProjectId): Promise<void> {
  const project = await findProject(db, id);
  if (project !== undefined) {
    state.projects.set(id, project);
    return;
  }
  state.projects.delete(id);
  state.credentials.deleteProject(id);
  state.policies.deleteProject(id);
}

async function applyUser(db: Db, state: State, id: PrincipalId): Promise<void> {
  const user = await findUser(db, id);
  if (user === undefined) state.credentials.deleteUser(id);
  else state.credentials.putUser(user);
  await putKeysOf(db, state, id);
}

async function applyAgents(db: Db, state: State, ids: readonly PrincipalId[]): Promise<void> {
  applyRows(ids, await findAgents(db, ids), {
    put: state.agents.put,
    delete(id) {
      state.agents.delete(id);
      state.credentials.deleteKeysOf(id);
    },
  });
  for (const id of ids) await putKeysOf(db, state, id);
}

/** Puts the rows that were found, and deletes what was not. */
function applyRows<Row extends { readonly id: string }>(
  ids: readonly Row['id'][],
  found: readonly Row[],
  index: { put(row: Row): void; delete(id: Row['id']): void },
): void {
  const rows = new Map(found.map((row) => [row.id, row]));
  for (const id of ids) {
    const row = rows.get(id);
    if (row === undefined) index.delete(id);
    else index.put(row);
  }
}

function putKeysOf(db: Db, state: State, ownerId: PrincipalId): Promise<void> {
  return eachPage((page) => listApiKeys(db, { ownerId, ...page }), state.credentials.putKey);
}

function chunks<Item>(items: readonly Item[]): Item[][] {
  const made: Item[][] = [];
  for (let at = 0; at < items.length; at += 500) made.push(items.slice(at, at + 500));
  return made;
}
