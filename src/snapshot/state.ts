import { setImmediate } from 'node:timers/promises';
import type { Kysely } from 'kysely';
import { type ApiKeyRecord, findApiKeys, listApiKeys } from '../db/api-keys.ts';
import type { ConfigChange } from '../db/config-changes.ts';
import type { ConfigKind, Database } from '../db/database.ts';
import { findEndedSessions, listEndedSessions } from '../db/ended-sessions.ts';
import { findProject, listProjects } from '../db/projects.ts';
import { findUpstreams, listUpstreams } from '../db/upstreams.ts';
import { findUser, listUsers } from '../db/users.ts';
import type { ApiKeyId, PrincipalId, ProjectId, UpstreamId } from '../domain/ids.ts';
import type { Project } from '../domain/project.ts';
import { type Credentials, createCredentials } from './credentials.ts';
import { createUpstreamIndex, type UpstreamIndex } from './upstream-index.ts';

type Db = Kysely<Database>;

/** All hot configuration of a replica: indexes whose immutable entries are replaced one by one. */
export interface State {
  readonly projects: Map<ProjectId, Project>;
  readonly credentials: Credentials;
  readonly upstreams: UpstreamIndex;
  /** Unix milliseconds at which the session's token expires anyway, by session id. */
  readonly endedSessions: Map<string, number>;
}

/** Rows read by one statement: enough to be fast, few enough to leave the event loop alone in between. */
const PAGE = 2_000;

/** Nothing yet. */
export function createState(): State {
  return {
    projects: new Map(),
    credentials: createCredentials(),
    upstreams: createUpstreamIndex(),
    endedSessions: new Map(),
  };
}

/** Reads everything. */
export async function loadState(db: Db): Promise<State> {
  const state = createState();
  await eachPage(
    (afterId) => listProjects(db, { afterId, limit: PAGE }),
    (project) => state.projects.set(project.id, project),
    (project) => project.id,
  );
  await eachPage(
    (afterId) => listUsers(db, { afterId, limit: PAGE }),
    (user) => state.credentials.putUser(user),
    (user) => user.id,
  );
  await putKeys(state, (afterId) => listApiKeys(db, { afterId, limit: PAGE }));
  await eachPage(
    (afterId) => listUpstreams(db, { afterId, limit: PAGE }),
    (upstream) => state.upstreams.put(upstream),
    (upstream) => upstream.id,
  );
  await eachPage(
    (afterId) => listEndedSessions(db, { afterId, limit: PAGE }),
    (session) => state.endedSessions.set(session.sessionId, session.expireTime),
    (session) => session.sessionId,
  );
  return state;
}

/** Reads again what the changes name. Returns the ids of upstreams among it. */
export async function applyChanges(db: Db, state: State, changes: readonly ConfigChange[]): Promise<Set<UpstreamId>> {
  const ids = (kind: ConfigKind) => [
    ...new Set(changes.filter((change) => change.kind === kind).map((change) => change.entityId)),
  ];
  // Users before keys: a key's entry is made of both. Casts: the kind of a change says whose id it holds.
  for (const id of ids('project')) await applyProject(db, state, id as ProjectId);
  for (const id of ids('user')) await applyUser(db, state, id as PrincipalId);
  for (const some of chunks(ids('api_key'))) await applyKeys(db, state, some as ApiKeyId[]);
  const upstreamIds = ids('upstream') as UpstreamId[];
  for (const some of chunks(upstreamIds)) await applyUpstreams(db, state, some);
  for (const some of chunks(ids('ended_session'))) {
    for (const session of await findEndedSessions(db, some)) {
      state.endedSessions.set(session.sessionId, session.expireTime);
    }
  }
  return new Set(upstreamIds);
}

async function applyProject(db: Db, state: State, id: ProjectId): Promise<void> {
  const project = await findProject(db, id);
  if (project !== undefined) {
    state.projects.set(id, project);
    return;
  }
  state.projects.delete(id);
  state.credentials.deleteProject(id);
}

async function applyUser(db: Db, state: State, id: PrincipalId): Promise<void> {
  const user = await findUser(db, id);
  if (user === undefined) state.credentials.deleteUser(id);
  else state.credentials.putUser(user);
  await putKeys(state, (afterId) => listApiKeys(db, { ownerId: id, afterId, limit: PAGE }));
}

async function applyKeys(db: Db, state: State, ids: readonly ApiKeyId[]): Promise<void> {
  const keys = new Map((await findApiKeys(db, ids)).map((key) => [key.id, key]));
  for (const id of ids) {
    const key = keys.get(id);
    if (key === undefined) state.credentials.deleteKey(id);
    else state.credentials.putKey(key);
  }
}

async function applyUpstreams(db: Db, state: State, ids: readonly UpstreamId[]): Promise<void> {
  const upstreams = new Map((await findUpstreams(db, ids)).map((upstream) => [upstream.id, upstream]));
  for (const id of ids) {
    const upstream = upstreams.get(id);
    if (upstream === undefined) state.upstreams.delete(id);
    else state.upstreams.put(upstream);
  }
}

function putKeys(state: State, read: (afterId: string | undefined) => Promise<ApiKeyRecord[]>): Promise<void> {
  return eachPage(
    read,
    (key) => state.credentials.putKey(key),
    (key) => key.id,
  );
}

async function eachPage<Row>(
  read: (afterId: string | undefined) => Promise<Row[]>,
  put: (row: Row) => void,
  idOf: (row: Row) => string,
): Promise<void> {
  let page: Row[];
  let afterId: string | undefined;
  do {
    page = await read(afterId);
    for (const row of page) put(row);
    const last = page.at(-1);
    afterId = last && idOf(last);
    // SQLite answers without ever leaving this turn of the event loop.
    if (page.length === PAGE) await setImmediate();
  } while (page.length === PAGE);
}

function chunks<Item>(items: readonly Item[]): Item[][] {
  const made: Item[][] = [];
  for (let at = 0; at < items.length; at += 500) made.push(items.slice(at, at + 500));
  return made;
}
