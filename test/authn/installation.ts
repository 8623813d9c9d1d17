import { bootstrap } from '../../src/authn/bootstrap.ts';
import type { ConfigWriting } from '../../src/authn/config-writing.ts';
import { createPasswords } from '../../src/authn/password.ts';
import { createSecret } from '../../src/config/secret.ts';
import { lockConfig, withChanges } from '../../src/db/config-changes.ts';
import { type DatabaseLocation, openDatabase, type Store } from '../../src/db/store.ts';
import { findUserByUsername } from '../../src/db/users.ts';
import type { Agent } from '../../src/domain/agent.ts';
import { newId, type PrincipalId, type ProjectId } from '../../src/domain/ids.ts';
import type { Principal, Scope } from '../../src/domain/principal.ts';
import { createTestDatabaseUrl } from '../support/postgres.ts';

/** A clock that stands still until it is moved; Unix milliseconds. */
export interface Clock {
  time: number;
  readonly now: () => number;
}

export function createClock(time = Date.UTC(2026, 10, 1)): Clock {
  const clock = { time, now: () => clock.time };
  return clock;
}

/** Databases that a test of what runs at once is to hold on; a location is a fresh database. */
export const DATABASES = [
  { kind: 'memory', createLocation: async (): Promise<DatabaseLocation> => ({ kind: 'memory' }) },
  {
    kind: 'postgres',
    createLocation: async (): Promise<DatabaseLocation> => ({ kind: 'postgres', url: await createTestDatabaseUrl() }),
  },
] as const;

/** An installation after its first start: project `default`, user `admin` with the password below, one API key; in memory by default. */
export async function createInstallation(clock = createClock(), location: DatabaseLocation = { kind: 'memory' }) {
  const store = await openDatabase(location);
  const passwords = createPasswords();
  const config = { adminPassword: createSecret(ADMIN_PASSWORD), demoUpstream: true };
  const { projectId, firstStart } = await bootstrap({ store, passwords, config, now: clock.now });
  const user = await findUserByUsername(store.db, 'admin');
  if (user === undefined) {
    throw new Error('the first start made no admin');
  }
  return { store, passwords, clock, projectId, user, apiKey: firstStart?.apiKey ?? '' };
}

export const ADMIN_PASSWORD = 'correct horse battery';

/** Who holds a token of a user with these scopes. */
export function principal(id: PrincipalId, projectId: ProjectId, ...scopes: readonly Scope[]): Principal {
  return { kind: 'user', id, projectId, name: 'someone', scopes: new Set(scopes), grants: 'all', teams: [] };
}

/** Runs a change of configuration as the API does. */
export function write<Result>(
  store: Store,
  clock: Clock,
  run: (writing: ConfigWriting) => Promise<Result>,
): Promise<Result> {
  return withChanges(store, async (trx, changed) => {
    await lockConfig(trx);
    return run({ trx, changed, now: clock.now() });
  });
}

/** An ACTIVE agent of nobody, not stored yet. */
export function draftAgent(projectId: ProjectId, slug: string, changes: Partial<Agent> = {}): Agent {
  const agent = { id: newId<PrincipalId>(), projectId, slug, displayName: '', description: '', teams: [], ...changes };
  return { state: 'active', revision: 1, createTime: 0, updateTime: 0, ...agent };
}
