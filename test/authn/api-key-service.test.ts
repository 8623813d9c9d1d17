import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { hashApiKey } from '../../src/authn/api-key.ts';
import {
  type ApiKeyUpdate,
  addApiKey,
  changeApiKey,
  endApiKey,
  type NewApiKey,
  rotateApiKey,
} from '../../src/authn/api-key-service.ts';
import { addUser } from '../../src/authn/user-service.ts';
import { isWellFormedApiKey } from '../../src/config/api-key-form.ts';
import { insertAgent } from '../../src/db/agents.ts';
import { type ApiKeyRecord, findApiKey } from '../../src/db/api-keys.ts';
import { insertProject } from '../../src/db/projects.ts';
import { findUpstreamBySlug, insertUpstream } from '../../src/db/upstreams.ts';
import type { Agent } from '../../src/domain/agent.ts';
import type { ApiKeyId, PrincipalId, ProjectId, UpstreamId } from '../../src/domain/ids.ts';
import type { Principal } from '../../src/domain/principal.ts';
import { type Clock, createClock, createInstallation, draftAgent, principal, write } from './installation.ts';

const DAY_MS = 86_400_000;
const OTHER_PROJECT = 'other-project' as ProjectId;
const OTHER_UPSTREAM = 'other-upstream' as UpstreamId;

let clock: Clock;
let at: Awaited<ReturnType<typeof createInstallation>>;
let admin: Principal;
let mia: Principal;
let upstreamId: UpstreamId;

beforeEach(async () => {
  clock = createClock();
  at = await createInstallation(clock);
  const { store, projectId } = at;
  admin = principal(at.user.id, projectId, 'admin');
  const user = await write(store, clock, (writing) =>
    addUser(writing, admin, {
      projectId,
      username: 'mia',
      email: '',
      passwordHash: '',
      scopes: ['gateway:write', 'tools:call'],
      teams: [],
    }),
  );
  mia = principal(user.id, projectId, 'gateway:write', 'tools:call');
  const demo = await findUpstreamBySlug(store.db, projectId, 'everything', 'v1');
  if (demo === undefined) {
    throw new Error('there is no demo upstream');
  }
  upstreamId = demo.id;
  const times = { revision: 1, createTime: 0, updateTime: 0 };
  const rules = { recordedArguments: 'none', redactedKeys: [], defaultEffect: 'allow' } as const;
  await insertProject(store.db, { id: OTHER_PROJECT, slug: 'other', displayName: '', ...rules, ...times });
  await insertUpstream(store.db, { ...demo, id: OTHER_UPSTREAM, projectId: OTHER_PROJECT });
});
afterEach(() => at.store.close());

const add = (caller: Principal, changes: Partial<NewApiKey> = {}) =>
  write(at.store, clock, (writing) =>
    addApiKey(writing, caller, {
      projectId: at.projectId,
      ownerId: mia.id,
      displayName: 'build',
      scopes: ['tools:call'],
      grants: 'all',
      expireTime: undefined,
      ...changes,
    }),
  );
const targetOf = ({ id, projectId }: ApiKeyRecord) => ({ id, projectId, revision: undefined });
const change = (caller: Principal, key: ApiKeyRecord, update: ApiKeyUpdate) =>
  write(at.store, clock, (writing) => changeApiKey(writing, caller, targetOf(key), update));
const rotate = (caller: Principal, key: ApiKeyRecord, overlapMs = 0) =>
  write(at.store, clock, (writing) => rotateApiKey(writing, caller, targetOf(key), overlapMs));
const end = (caller: Principal, key: ApiKeyRecord) =>
  write(at.store, clock, (writing) => endApiKey(writing, caller, targetOf(key)));

describe('a new key', () => {
  it('is stored without its text', async () => {
    const { key, secret } = await add(mia, { grants: [upstreamId], expireTime: clock.time + DAY_MS });
    expect(isWellFormedApiKey(secret)).toBe(true);
    expect(key).toStrictEqual({
      id: expect.stringMatching(/^[\da-f-]{36}$/),
      projectId: at.projectId,
      ownerKind: 'user',
      ownerId: mia.id,
      displayName: 'build',
      scopes: ['tools:call'],
      grants: [upstreamId],
      expireTime: clock.time + DAY_MS,
      revision: 1,
      createTime: clock.time,
      updateTime: clock.time,
      secrets: [{ secretHash: hashApiKey(secret), keyPrefix: secret.slice(0, 11), createTime: clock.time }],
    });
    expect(await findApiKey(at.store.db, key.id)).toStrictEqual(key);
  });

  it('has the grants of the credential that made it when none are named', async () => {
    const limited = { ...mia, grants: new Set([upstreamId]) };
    expect((await add(limited, { grants: undefined })).key.grants).toStrictEqual([upstreamId]);
    expect((await add(mia, { grants: undefined })).key.grants).toBe('all');
  });

  it.each([
    ['a scope that the caller lacks', { scopes: ['admin'] }, 'permission_denied'],
    ['an owner who is somebody else', { ownerId: 'other' }, 'permission_denied'],
    ['an upstream of another project', { grants: [OTHER_UPSTREAM] }, 'validation_failed'],
    ['an upstream that does not exist', { grants: ['missing'] }, 'validation_failed'],
  ])('is refused with %s', async (_name, changes, reason) => {
    await expect(add(mia, changes as Partial<NewApiKey>)).rejects.toMatchObject({ reason }); // ids that nobody handed out
  });

  it('is refused when a limited credential asks for wider grants', async () => {
    const limited = { ...mia, grants: new Set([upstreamId]) };
    const refusal = { reason: 'permission_denied', message: expect.stringContaining('grants') };
    await expect(add(limited, { grants: 'all' })).rejects.toMatchObject(refusal);
    await expect(add(limited, { grants: [upstreamId, OTHER_UPSTREAM] })).rejects.toMatchObject(refusal);
    await add(limited, { grants: [upstreamId] });
  });

  it('stays within the scopes of its owner, whoever makes it', async () => {
    await expect(add(admin, { scopes: ['tools:call', 'approvals:decide'] })).rejects.toMatchObject({
      reason: 'validation_failed',
      violations: [{ field: 'scopes', description: "go beyond those of the key's owner: approvals:decide" }],
    });
    await add(admin, { ownerId: admin.id, scopes: ['approvals:decide'] });
  });

  it('belongs to a user of its project', async () => {
    const refusal = { reason: 'validation_failed', violations: [{ field: 'owner_id' }] };
    await expect(add(admin, { ownerId: 'nobody' as PrincipalId })).rejects.toMatchObject(refusal);
    await expect(add(admin, { projectId: OTHER_PROJECT })).rejects.toMatchObject(refusal);
  });
});

describe('a key of an agent', () => {
  const rights = ['gateway:write', 'tools:call'] as const;
  let bot: Agent;
  beforeEach(async () => {
    bot = draftAgent(at.projectId, 'bot');
    await insertAgent(at.store.db, bot);
  });

  it('is made by whoever may manage agents, within its own rights', async () => {
    const { key } = await add(mia, { ownerId: bot.id, scopes: [...rights], grants: [upstreamId] });
    expect(key).toMatchObject({ ownerKind: 'agent', ownerId: bot.id, scopes: rights, grants: [upstreamId] });
    expect(await findApiKey(at.store.db, key.id)).toStrictEqual(key);
    await expect(add(mia, { ownerId: bot.id, scopes: ['gateway:read'] })).rejects.toMatchObject({
      reason: 'permission_denied',
      metadata: { required_permissions: 'gateway:read' },
    });
  });

  it('is made by an agent for itself, and lasts no longer than the key that asks for it', async () => {
    const agent: Principal = { ...principal(bot.id, at.projectId, ...rights), kind: 'agent', agentState: 'active' };
    expect((await add(agent, { ownerId: bot.id })).key).toMatchObject({ ownerKind: 'agent', ownerId: bot.id });
    const ending = { ...agent, apiKeyId: 'key' as ApiKeyId, expireTime: clock.time + DAY_MS };
    await expect(add(ending, { ownerId: bot.id })).rejects.toMatchObject({ reason: 'permission_denied' });
    await add(ending, { ownerId: bot.id, expireTime: clock.time + DAY_MS });
  });

  it.each(['admin', 'approvals:decide'] as const)('never has the scope %s, whoever makes it', async (scope) => {
    const refusal = {
      reason: 'validation_failed',
      violations: [{ field: 'scopes', description: `are not for agents: ${scope}` }],
    };
    await expect(add(admin, { ownerId: bot.id, scopes: ['tools:call', scope] })).rejects.toMatchObject(refusal);
    const { key } = await add(admin, { ownerId: bot.id });
    await expect(change(admin, key, { scopes: [scope] })).rejects.toMatchObject(refusal);
  });

  it('is not for credentials whose grants name upstreams, even when it gets the same grants', async () => {
    const { key } = await add(mia, { ownerId: bot.id, grants: [upstreamId] });
    const limited = { ...mia, grants: new Set([upstreamId]) };
    await expect(add(limited, { ownerId: bot.id, grants: [upstreamId] })).rejects.toMatchObject({
      reason: 'permission_denied',
    });
    for (const act of [() => change(limited, key, {}), () => rotate(limited, key), () => end(limited, key)]) {
      await expect(act()).rejects.toMatchObject({ reason: 'permission_denied' });
    }
  });

  it('is changed, rotated and revoked by whoever may manage agents and has what the key has', async () => {
    const { key } = await add(mia, { ownerId: bot.id });
    const other = principal('other' as PrincipalId, at.projectId, ...rights);
    expect(await change(other, key, { displayName: 'new' })).toMatchObject({ displayName: 'new' });
    expect((await rotate(other, key)).key.secrets).toHaveLength(2);
    const weak = principal('weak' as PrincipalId, at.projectId, 'gateway:write');
    await expect(rotate(weak, key)).rejects.toMatchObject({ metadata: { required_permissions: 'tools:call' } });
    expect(await end(weak, key)).toMatchObject({ revokeTime: clock.time });
    const reader = principal('reader' as PrincipalId, at.projectId, 'gateway:read', 'tools:call');
    await expect(end(reader, key)).rejects.toMatchObject({ reason: 'permission_denied' });
  });

  it('is not made for an agent of another project or a REVOKED one', async () => {
    const stranger = draftAgent(OTHER_PROJECT, 'stranger');
    const revoked = draftAgent(at.projectId, 'gone', { state: 'revoked' });
    await insertAgent(at.store.db, stranger);
    await insertAgent(at.store.db, revoked);
    await expect(add(mia, { ownerId: stranger.id })).rejects.toMatchObject({ reason: 'permission_denied' });
    await expect(add(admin, { ownerId: stranger.id })).rejects.toMatchObject({
      violations: [{ field: 'owner_id', description: 'must be the id of a user or an agent of the project' }],
    });
    await expect(add(mia, { ownerId: revoked.id })).rejects.toMatchObject({
      reason: 'failed_precondition',
      metadata: { condition: 'agent_revoked' },
    });
  });
});

describe('a key', () => {
  it('changes in what is set and keeps the rest', async () => {
    const { key } = await add(mia);
    clock.time += 1000;
    expect(await change(mia, key, { grants: [upstreamId] })).toStrictEqual({
      ...key,
      grants: [upstreamId],
      revision: 2,
      updateTime: clock.time,
    });
  });

  it('gets nothing by a change that it could not have been made with', async () => {
    const { key } = await add(mia, { grants: [upstreamId] });
    const limited = { ...mia, grants: new Set([upstreamId]) };
    await expect(change(mia, key, { scopes: ['admin'] })).rejects.toMatchObject({ reason: 'permission_denied' });
    await expect(change(limited, key, { grants: 'all' })).rejects.toMatchObject({ reason: 'permission_denied' });
    await expect(change(admin, key, { scopes: ['admin'] })).rejects.toMatchObject({ reason: 'validation_failed' });
    await expect(change(mia, key, { grants: [OTHER_UPSTREAM] })).rejects.toMatchObject({ reason: 'validation_failed' });
  });

  it('is seen by its owner and by admins of its project only', async () => {
    const { key } = await add(mia);
    const stranger = principal('stranger' as PrincipalId, at.projectId, 'gateway:write', 'tools:call');
    const refusal = {
      reason: 'permission_denied',
      message: `The credential has no access to the api_key "${key.id}" (or it might not exist).`,
    };
    for (const act of [() => change(stranger, key, {}), () => rotate(stranger, key), () => end(stranger, key)]) {
      await expect(act()).rejects.toMatchObject(refusal);
    }
    await expect(end(admin, { ...key, projectId: OTHER_PROJECT })).rejects.toMatchObject(refusal);
    await change(admin, key, { displayName: 'by an admin' });
  });

  it('is not rotated by a credential with fewer rights, which would get its secret', async () => {
    const { key } = await add(admin, { ownerId: admin.id, scopes: ['admin'] });
    const weak = { ...admin, scopes: new Set(['gateway:write'] as const) };
    await expect(rotate(weak, key)).rejects.toMatchObject({
      reason: 'permission_denied',
      metadata: { required_permissions: 'admin' },
    });
    await end(weak, key);
  });

  it('is not changed by whoever read an older state', async () => {
    const { key } = await add(mia);
    await change(mia, key, { displayName: 'new' });
    const refusal = { reason: 'etag_mismatch', metadata: { resource: 'api_key', id: key.id } };
    for (const act of [changeApiKey, endApiKey]) {
      await expect(write(at.store, clock, (writing) => act(writing, mia, key, {}))).rejects.toMatchObject(refusal);
    }
    await expect(write(at.store, clock, (w) => rotateApiKey(w, mia, key, 0))).rejects.toMatchObject(refusal);
  });
});

describe('a rotation', () => {
  it('adds a secret and lets the old ones end after the overlap at the latest', async () => {
    const { key, secret } = await add(mia);
    const first = await rotate(mia, key, 7 * DAY_MS);
    clock.time += DAY_MS;
    const second = await rotate(mia, key, 2 * DAY_MS);
    expect(second.key.secrets).toStrictEqual(
      [
        { secretHash: hashApiKey(second.secret), keyPrefix: second.secret.slice(0, 11), createTime: clock.time },
        {
          secretHash: hashApiKey(first.secret),
          keyPrefix: first.secret.slice(0, 11),
          createTime: clock.time - DAY_MS,
          expireTime: clock.time + 2 * DAY_MS,
        },
        {
          secretHash: hashApiKey(secret),
          keyPrefix: secret.slice(0, 11),
          createTime: clock.time - DAY_MS,
          expireTime: clock.time + 2 * DAY_MS,
        },
      ].sort((a, b) => b.createTime - a.createTime || a.secretHash.localeCompare(b.secretHash)),
    );
  });

  it.each([-1, 30 * DAY_MS + 1, Number.NaN])('is refused with an overlap of %d ms', async (overlapMs) => {
    const { key } = await add(mia);
    await expect(rotate(mia, key, overlapMs)).rejects.toMatchObject({
      reason: 'validation_failed',
      violations: [{ field: 'overlap', description: 'must be from 0 to 30 days' }],
    });
  });

  it('does not bring back a key that ended', async () => {
    const { key } = await add(mia, { expireTime: clock.time + 1000 });
    clock.time += 1000;
    await expect(rotate(mia, key)).rejects.toMatchObject({
      reason: 'failed_precondition',
      metadata: { condition: 'expired' },
    });
    await end(mia, key);
    const refusal = { reason: 'failed_precondition', metadata: { condition: 'revoked' } };
    await expect(rotate(mia, key)).rejects.toMatchObject(refusal);
    await expect(change(mia, key, { displayName: 'x' })).rejects.toMatchObject(refusal);
  });
});

describe('a revocation', () => {
  it('keeps its first time', async () => {
    const { key } = await add(mia);
    const revoked = await end(mia, key);
    expect(revoked.revokeTime).toBe(clock.time);
    clock.time += 1000;
    expect(await end(mia, key)).toStrictEqual(revoked);
  });
});
