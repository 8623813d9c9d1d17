import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { Kysely, PostgresDialect, sql } from 'kysely';
import { Migrator } from 'kysely/migration';
import pg from 'pg';
import { describe, expect, it } from 'vitest';
import { migrations } from '../../src/db/migrations/index.ts';
import { listPolicies, listPolicyVersions } from '../../src/db/policies.ts';
import { listProjects } from '../../src/db/projects.ts';
import { createSqliteConnection } from '../../src/db/sqlite-dialect.ts';
import { type DatabaseLocation } from '../../src/db/store.ts';
import { listUsers } from '../../src/db/users.ts';
import type { PolicyId, ProjectId } from '../../src/domain/ids.ts';
import { databases, openUntilTestEnds } from './databases.ts';
import { NOW } from './samples.ts';

const lasting = databases.filter(({ name }) => name !== 'SQLite memory');
const RULED = '01890000-0000-7000-8000-000000000001' as ProjectId;
const PLAIN = '01890000-0000-7000-8000-000000000002' as ProjectId;

function connect(location: DatabaseLocation): Kysely<unknown> {
  if (location.kind === 'postgres') {
    return new Kysely({ dialect: new PostgresDialect({ pool: new pg.Pool({ connectionString: location.url }) }) });
  }
  if (location.kind === 'memory') throw new Error('memory does not last');
  const file = new DatabaseSync(join(location.dataDir, 'portcullis.db'));
  file.exec('pragma foreign_keys = on');
  return new Kysely({ dialect: createSqliteConnection(file).dialect });
}

/** A database as the first release left it, with two projects and a user. */
async function createFirstRelease(location: DatabaseLocation): Promise<void> {
  const db = connect(location);
  const initial = migrations['0001-initial'];
  if (initial === undefined) throw new Error('unreachable');
  const migrator = new Migrator({ db, provider: { getMigrations: async () => ({ '0001-initial': initial }) } });
  expect((await migrator.migrateToLatest()).error).toBeUndefined();
  const rules = [
    { id: 'no-deletes', upstreamPattern: 'files', toolPattern: 'delete_*', effect: 'deny', message: "Don't." },
    { id: 'ask', upstreamPattern: '*', toolPattern: '*', effect: 'require_approval', message: '' },
  ];
  for (const [id, slug, text] of [
    [RULED, 'default', JSON.stringify(rules)],
    [PLAIN, 'plain', '[]'],
  ] as const) {
    await sql`insert into projects (id, slug, display_name, recorded_arguments, default_effect, policy_rules, revision, create_time, update_time)
      values (${id}, ${slug}, 'Shown', 'full', 'allow', ${text}, 4, ${NOW}, ${NOW + 1})`.execute(db);
  }
  await sql`insert into users (id, project_id, username, email, password_hash, scopes, disabled, tokens_valid_after, revision, create_time, update_time)
    values ('user-1', ${RULED}, 'ada', '', 'hash', '[]', 0, 0, 1, ${NOW}, ${NOW})`.execute(db);
  await db.destroy();
}

describe.each(lasting)('a database of the first release on $name', ({ locate }) => {
  it('keeps its projects and users, and its rules become policies that decide in their old order', async () => {
    const location = await locate();
    await createFirstRelease(location);
    const { db } = await openUntilTestEnds(location);

    expect(await listProjects(db, { limit: 9 })).toStrictEqual(
      [
        { id: RULED, slug: 'default' },
        { id: PLAIN, slug: 'plain' },
      ].map((named) => ({
        ...named,
        displayName: 'Shown',
        recordedArguments: 'full',
        redactedKeys: [],
        defaultEffect: 'allow',
        revision: 4,
        createTime: NOW,
        updateTime: NOW + 1,
      })),
    );
    expect((await listUsers(db, { limit: 9 })).map(({ username, teams }) => [username, teams])).toEqual([['ada', []]]);
    const [first, second, ...others] = await listPolicies(db, { limit: 9 });
    expect(first).toStrictEqual({
      id: '01890000-0000-7000-8000-000000000000',
      projectId: RULED,
      slug: 'rule-1',
      content: {
        displayName: '',
        priority: 1000,
        mode: 'enforce',
        subjects: { agentIds: [], userIds: [], apiKeyIds: [], teams: [] },
        targets: [{ upstreamPattern: 'files', toolPattern: 'delete_*' }],
        rules: [{ id: 'no-deletes', message: "Don't.", says: { kind: 'effect', effect: 'deny' } }],
        approval: {
          behavior: 'error',
          expireAfterMs: 3_600_000,
          holdTimeoutMs: 50_000,
          requiredApprovals: 1,
          approverIds: [],
          allowSelfApproval: false,
        },
      },
      version: 1,
      latestVersion: 1,
      revision: 1,
      createTime: NOW + 1,
      updateTime: NOW + 1,
    });
    expect(second).toMatchObject({
      slug: 'rule-2',
      content: { priority: 999, rules: [{ id: 'ask', says: { kind: 'effect', effect: 'require_approval' } }] },
    });
    expect(others).toEqual([]);
    const versions = await listPolicyVersions(db, { policyId: first?.id as PolicyId, limit: 9 });
    expect(versions).toStrictEqual([
      { version: 1, content: first?.content, author: { kind: 'user', id: '', name: '' }, createTime: NOW + 1 },
    ]);
  });
});
