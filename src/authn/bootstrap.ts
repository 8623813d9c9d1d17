import type { Transaction } from 'kysely';
import { type Config, DEMO_COMMAND } from '../config/config.ts';
import { insertApiKey } from '../db/api-keys.ts';
import { lockConfig, withChanges } from '../db/config-changes.ts';
import type { Database } from '../db/database.ts';
import { findProjectBySlug, insertProject } from '../db/projects.ts';
import type { Store } from '../db/store.ts';
import { insertUpstream, listUpstreams } from '../db/upstreams.ts';
import { insertUser, type UserRecord } from '../db/users.ts';
import { newId, type ProjectId } from '../domain/ids.ts';
import type { Scope } from '../domain/principal.ts';
import type { Project } from '../domain/project.ts';
import { DEFAULT_VERSION } from '../domain/target.ts';
import type { Upstream } from '../domain/upstream.ts';
import { createApiKey } from './api-key.ts';
import { type ApiKeyWithSecret, draftApiKey } from './api-key-service.ts';
import type { Passwords } from './password.ts';
import { randomPassword } from './random-text.ts';
import { draftUser, hashNewPassword } from './user-service.ts';

/** What was made at the first start of an installation, to be shown once. */
export interface FirstStart {
  readonly username: string;
  /** Absent when the operator gave the password. */
  readonly password?: string;
  /** Absent when the operator gave the key. */
  readonly apiKey?: string;
}

/** What a start found, or made. */
export interface Bootstrap {
  /** The id of the project `default`. */
  readonly projectId: ProjectId;
  /** Present for the one start, of all replicas, that set the installation up. */
  readonly firstStart?: FirstStart;
}

/** What a start works with. */
export interface BootstrapDeps {
  readonly store: Store;
  readonly passwords: Passwords;
  readonly config: Pick<Config, 'adminPassword' | 'bootstrapApiKey' | 'demoUpstream'>;
  readonly now: () => number;
}

const PROJECT_SLUG = 'default';
const USERNAME = 'admin';

/** The first key is for agents and automation; users are managed with the admin's login. */
const KEY_SCOPES: readonly Scope[] = ['gateway:read', 'gateway:write', 'tools:call', 'approvals:decide'];

/** Everything that the first start writes, in one transaction. */
interface Installation {
  readonly project: Project;
  readonly user: UserRecord;
  readonly apiKey: ApiKeyWithSecret;
  readonly firstStart: FirstStart;
}

/**
 * Makes sure that the installation has its project `default`, with a user `admin` and an API key at the very first start, and the demo
 * upstream while there is no upstream at all. Replicas that start at once do it once.
 */
export async function bootstrap(deps: BootstrapDeps): Promise<Bootstrap> {
  const found = await findProjectBySlug(deps.store.db, PROJECT_SLUG);
  const result = found === undefined ? await setUp(deps) : { projectId: found.id };
  if (deps.config.demoUpstream) {
    await addDemoUpstream(deps, result.projectId);
  }
  return result;
}

async function setUp(deps: BootstrapDeps): Promise<Bootstrap> {
  const draft = await draftInstallation(deps);
  return withChanges(deps.store, async (trx, changed) => {
    await lockConfig(trx);
    const other = await findProjectBySlug(trx, PROJECT_SLUG);
    if (other !== undefined) {
      return { projectId: other.id };
    }
    await insertInstallation(trx, draft);
    changed('project', draft.project.id);
    changed('user', draft.user.id);
    changed('api_key', draft.apiKey.key.id);
    return { projectId: draft.project.id, firstStart: draft.firstStart };
  });
}

async function insertInstallation(trx: Transaction<Database>, { project, user, apiKey }: Installation): Promise<void> {
  await insertProject(trx, project);
  await insertUser(trx, user);
  await insertApiKey(trx, apiKey.key);
}

async function draftInstallation({ passwords, config, now }: BootstrapDeps): Promise<Installation> {
  const time = now();
  const project = draftProject(time);
  const password = config.adminPassword?.reveal() ?? randomPassword();
  const scopes: readonly Scope[] = ['admin'];
  const passwordHash = await hashNewPassword(passwords, 'admin_password', password);
  const user = draftUser(
    { projectId: project.id, username: USERNAME, passwordHash, email: '', scopes, teams: [] },
    time,
  );
  const text = config.bootstrapApiKey?.reveal() ?? createApiKey();
  const apiKey = draftApiKey(
    {
      projectId: project.id,
      ownerKind: 'user',
      ownerId: user.id,
      displayName: 'First key',
      scopes: KEY_SCOPES,
      grants: 'all',
      expireTime: undefined,
    },
    text,
    time,
  );
  const firstStart = {
    username: USERNAME,
    ...(config.adminPassword === undefined && { password }),
    ...(config.bootstrapApiKey === undefined && { apiKey: text }),
  };
  return { project, user, apiKey, firstStart };
}

function draftProject(time: number): Project {
  return {
    id: newId(time),
    slug: PROJECT_SLUG,
    displayName: 'Default',
    recordedArguments: 'redacted',
    redactedKeys: [],
    defaultEffect: 'allow',
    revision: 1,
    createTime: time,
    updateTime: time,
  };
}

async function addDemoUpstream({ store, now }: BootstrapDeps, projectId: ProjectId): Promise<void> {
  if (await hasUpstream(store.db)) {
    return;
  }
  const upstream = draftDemoUpstream(projectId, now());
  await withChanges(store, async (trx, changed) => {
    await lockConfig(trx);
    if (!(await hasUpstream(trx))) {
      await insertUpstream(trx, upstream);
      changed('upstream', upstream.id);
    }
  });
}

async function hasUpstream(db: Store['db']): Promise<boolean> {
  return (await listUpstreams(db, { limit: 1 })).length > 0;
}

function draftDemoUpstream(projectId: ProjectId, time: number): Upstream {
  return {
    id: newId(time),
    projectId,
    slug: 'everything',
    version: DEFAULT_VERSION,
    displayName: 'Everything',
    description: 'The MCP reference server with a tool, prompt and resource of every kind; for trying the gateway out.',
    transport: {
      kind: 'stdio',
      command: DEMO_COMMAND,
      args: ['stdio'],
      sharing: 'per_principal',
      maxProcesses: 8,
      idleTimeoutMs: 300_000,
    },
    auth: { kind: 'none' },
    sealedSecrets: '',
    headerNames: [],
    envNames: [],
    toolFilter: { allowedTools: [], deniedTools: [] },
    decisionCommit: 'before_forward',
    timeoutMs: 60_000,
    enabled: true,
    revision: 1,
    createTime: time,
    updateTime: time,
  };
}
