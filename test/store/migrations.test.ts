import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { Kysely, PostgresDialect, sql } from 'kysely';
import { Migrator } from 'kysely/migration';
import pg from 'pg';
import { describe, expect, it } from 'vitest';
import { findApiKey, insertApiKey, listApiKeys } from '../../src/db/api-keys.ts';
import { findOpenApprovals } from '../../src/db/approvals.ts';
import { migrations } from '../../src/db/migrations/index.ts';
import { listPolicies, listPolicyVersions } from '../../src/db/policies.ts';
import { listProjects } from '../../src/db/projects.ts';
import { createSqliteConnection } from '../../src/db/sqlite-dialect.ts';
import { type DatabaseLocation } from '../../src/db/store.ts';
import { insertUpstream, listUpstreams } from '../../src/db/upstreams.ts';
import { listUsers } from '../../src/db/users.ts';
import type { ApiKeyId, PolicyId, ProjectId, UpstreamId } from '../../src/domain/ids.ts';
import { approval, key as approvalKey } from '../approvals/samples.ts';
import { databases, openUntilTestEnds } from './databases.ts';
import { apiKey, GATEWAY, KEY, NOW, PROJECT, UPSTREAM, USER, upstream } from './samples.ts';

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

/** An empty database as the release with these migrations left it. */
async function createRelease(location: DatabaseLocation, ...names: readonly string[]): Promise<Kysely<unknown>> {
  const db = connect(location);
  const known = Object.fromEntries(Object.entries(migrations).filter(([name]) => names.includes(name)));
  expect(Object.keys(known)).toEqual(names);
  const migrator = new Migrator({ db, provider: { getMigrations: async () => known } });
  expect((await migrator.migrateToLatest()).error).toBeUndefined();
  return db;
}

/** A database as the first release left it, with two projects and a user. */
async function createFirstRelease(location: DatabaseLocation): Promise<void> {
  const db = await createRelease(location, '0001-initial');
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

/** A database as the release before gateways left it, with two upstreams, a key and an approval. */
async function createSecondRelease(location: DatabaseLocation): Promise<void> {
  const db = await createRelease(location, '0001-initial', '0002-policies');
  await sql`insert into projects (id, slug, display_name, recorded_arguments, default_effect, revision, create_time, update_time)
    values (${PROJECT}, 'default', 'Default', 'redacted', 'allow', 1, ${NOW}, ${NOW})`.execute(db);
  const {
    id,
    projectId,
    slug,
    version: _new,
    sealedSecrets,
    enabled,
    revision,
    createTime,
    updateTime,
    ...config
  } = upstream();
  for (const [upstreamId, name] of [
    [id, slug],
    ['upstream-2', 'mail'],
  ]) {
    await sql`insert into upstreams (id, project_id, slug, config, sealed_secrets, enabled, revision, create_time, update_time)
      values (${upstreamId}, ${projectId}, ${name}, ${JSON.stringify(config)}, ${sealedSecrets}, ${Number(enabled)}, ${revision}, ${createTime},
        ${updateTime})`.execute(db);
  }
  await sql`insert into api_keys (id, project_id, owner_kind, owner_id, display_name, scopes, grants, revision, create_time, update_time)
    values (${KEY}, ${PROJECT}, 'user', ${USER}, 'laptop', '["tools:call"]', ${JSON.stringify([id])}, 1, ${NOW}, ${NOW})`.execute(
    db,
  );
  const body = approval();
  await sql`insert into approvals (id, project_id, state, call_id, principal_id, upstream_slug, method, tool, arguments_digest, expire_time,
      change_version, body, revision, create_time, update_time)
    values (${body.id}, ${PROJECT}, 'pending', ${body.callId}, ${approvalKey.principalId}, ${approvalKey.upstreamSlug}, ${approvalKey.method}, ${approvalKey.tool},
      ${approvalKey.argumentsDigest}, ${NOW + 1}, 1, ${JSON.stringify(body)}, 1, ${NOW}, ${NOW})`.execute(db);
  await db.destroy();
}

describe.each(lasting)('a database of the release before gateways on $name', ({ locate }) => {
  it('keeps its upstreams, each in the version v1, and takes others beside them', async () => {
    const location = await locate();
    await createSecondRelease(location);
    const { db } = await openUntilTestEnds(location);

    expect(await listUpstreams(db, { limit: 9 })).toStrictEqual([
      upstream(),
      upstream({ id: 'upstream-2' as UpstreamId, slug: 'mail' }),
    ]);
    await insertUpstream(db, upstream({ id: 'upstream-3' as UpstreamId, version: 'v2' }));
    const taken = { reason: 'already_exists' };
    await expect(insertUpstream(db, upstream({ id: 'upstream-4' as UpstreamId }))).rejects.toMatchObject(taken);
    const again = upstream({ id: 'upstream-4' as UpstreamId, version: 'v2' });
    await expect(insertUpstream(db, again)).rejects.toMatchObject(taken);
    const strange = upstream({ id: 'upstream-4' as UpstreamId, projectId: 'gone' as ProjectId, slug: 'strange' });
    await expect(insertUpstream(db, strange)).rejects.toThrow(/foreign key/i);
  });

  it('keeps its keys, without gateways, and its approvals, of calls through none', async () => {
    const location = await locate();
    await createSecondRelease(location);
    const { db } = await openUntilTestEnds(location);

    expect(await listApiKeys(db, { limit: 9 })).toStrictEqual([apiKey({ grants: [UPSTREAM], secrets: [] })]);
    await insertApiKey(db, apiKey({ id: 'key-2' as ApiKeyId, grants: [], gatewayGrants: [GATEWAY] }));
    expect((await findApiKey(db, 'key-2' as ApiKeyId))?.gatewayGrants).toEqual([GATEWAY]);
    const open = await findOpenApprovals(db, { ...approvalKey, projectId: PROJECT }, NOW);
    expect(open.ofCall).toMatchObject([{ id: approval().id, upstreamSlug: 'bank', state: 'pending' }]);
    expect(open.ofCall[0]).not.toHaveProperty('gatewayId');
  });
});
