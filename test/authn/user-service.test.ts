import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { addApiKey } from '../../src/authn/api-key-service.ts';
import { addUser, changeUser, hashNewPassword, type NewUser, removeUser } from '../../src/authn/user-service.ts';
import { insertAgent, listAgents } from '../../src/db/agents.ts';
import { findApiKey } from '../../src/db/api-keys.ts';
import { readChangesSince, readConfigVersion } from '../../src/db/config-changes.ts';
import { findUser, type UserRecord } from '../../src/db/users.ts';
import { newId, type PrincipalId, type ProjectId } from '../../src/domain/ids.ts';
import type { Principal, Scope } from '../../src/domain/principal.ts';
import {
  type Clock,
  createClock,
  createInstallation,
  DATABASES,
  draftAgent,
  principal,
  write,
} from './installation.ts';

describe('users', () => {
  let clock: Clock;
  let at: Awaited<ReturnType<typeof createInstallation>>;
  let admin: Principal;

  beforeEach(async () => {
    clock = createClock();
    at = await createInstallation(clock);
    admin = principal(at.user.id, at.projectId, 'admin');
  });
  afterEach(() => at.store.close());

  const add = (changes: Partial<NewUser> = {}, caller = admin) =>
    write(at.store, clock, (writing) =>
      addUser(writing, caller, {
        projectId: at.projectId,
        username: 'mia',
        email: 'mia@example.com',
        scopes: ['gateway:read'],
        teams: ['finance'],
        passwordHash: 'hash',
        ...changes,
      }),
    );
  const targetOf = ({ id, projectId }: UserRecord) => ({ id, projectId, revision: undefined });
  const change = (user: UserRecord, update: Parameters<typeof changeUser>[3], caller = admin) =>
    write(at.store, clock, (writing) => changeUser(writing, caller, targetOf(user), update));
  const remove = (user: UserRecord) => write(at.store, clock, (writing) => removeUser(writing, targetOf(user)));

  it('are created as they were described', async () => {
    const user = await add();
    expect(user).toStrictEqual({
      id: expect.stringMatching(/^[\da-f-]{36}$/),
      projectId: at.projectId,
      username: 'mia',
      email: 'mia@example.com',
      passwordHash: 'hash',
      scopes: ['gateway:read'],
      teams: ['finance'],
      disabled: false,
      tokensValidAfter: 0,
      revision: 1,
      createTime: clock.time,
      updateTime: clock.time,
    });
    expect(await findUser(at.store.db, user.id)).toStrictEqual(user);
  });

  it('have names of their own in the whole installation', async () => {
    await add();
    await expect(add({ username: 'MIA' })).rejects.toMatchObject({ reason: 'already_exists' });
  });

  it('get no scope that the caller lacks', async () => {
    const reader = principal('reader' as PrincipalId, at.projectId, 'gateway:read');
    const scopes: Scope[] = ['gateway:read', 'tools:call', 'admin'];
    const refusal = { reason: 'permission_denied', metadata: { required_permissions: 'tools:call,admin' } };
    await expect(add({ scopes }, reader)).rejects.toMatchObject(refusal);
    const user = await add();
    await expect(change(user, { scopes }, reader)).rejects.toMatchObject(refusal);
  });

  it('change in what is set and keep the rest', async () => {
    const user = await add();
    clock.time += 1000;
    expect(await change(user, { scopes: ['tools:call'] })).toStrictEqual({
      ...user,
      scopes: ['tools:call'],
      revision: 2,
      updateTime: clock.time,
    });
  });

  it.each([
    ['a new password', { passwordHash: 'new' }, 1000],
    ['disabling', { disabled: true }, 1000],
    ['a new address', { email: 'other@example.com' }, undefined],
    ['enabling', { disabled: false }, undefined],
  ])('lose their tokens by %s: %j', async (_name, update, ended) => {
    const user = await add();
    clock.time += 1000;
    const changed = await change(user, update);
    expect(changed.tokensValidAfter).toBe(ended === undefined ? 0 : user.createTime + ended);
  });

  it('are not changed or deleted by whoever read an older state', async () => {
    const user = await add();
    await change(user, { email: '' });
    const refusal = { reason: 'etag_mismatch', metadata: { resource: 'user', id: user.id } };
    await expect(write(at.store, clock, (w) => changeUser(w, admin, user, { email: 'x@y.z' }))).rejects.toMatchObject(
      refusal,
    );
    await expect(write(at.store, clock, (w) => removeUser(w, user))).rejects.toMatchObject(refusal);
  });

  it('of another project look as if they did not exist', async () => {
    const user = await add();
    const elsewhere = { ...targetOf(user), projectId: 'elsewhere' as ProjectId };
    const missing = { ...targetOf(user), id: 'nobody' as PrincipalId };
    for (const target of [elsewhere, missing]) {
      const refusal = {
        reason: 'permission_denied',
        message: `The credential has no access to the user "${target.id}" (or it might not exist).`,
      };
      await expect(write(at.store, clock, (w) => changeUser(w, admin, target, {}))).rejects.toMatchObject(refusal);
      await expect(write(at.store, clock, (w) => removeUser(w, target))).rejects.toMatchObject(refusal);
    }
  });

  it('leave no key behind that works', async () => {
    const user = await add({ scopes: ['tools:call'] });
    const input = { projectId: at.projectId, ownerId: user.id, displayName: '', scopes: [], grants: undefined };
    const made = await write(at.store, clock, (w) => addApiKey(w, admin, { ...input, expireTime: undefined }));
    await remove(user);
    expect(await findUser(at.store.db, user.id)).toBe(undefined);
    expect(await findApiKey(at.store.db, made.key.id)).toMatchObject({ revokeTime: clock.time });
  });

  it('leave the agents that they owned, with nobody who answers for them', async () => {
    const [mia, ann] = [await add(), await add({ username: 'ann' })];
    const ownerIds = [mia.id, ann.id, mia.id];
    const agents = ownerIds.map((ownerId, index) =>
      draftAgent(at.projectId, `agent-${index}`, { id: newId<PrincipalId>(index + 1), ownerId }),
    );
    for (const agent of agents) {
      await insertAgent(at.store.db, agent);
    }
    const before = await readConfigVersion(at.store.db);
    await remove(mia);
    const found = await listAgents(at.store.db, { projectId: at.projectId, limit: 10 });
    expect(found.map(({ ownerId, revision }) => [ownerId, revision])).toStrictEqual([
      [undefined, 2],
      [ann.id, 1],
      [undefined, 2],
    ]);
    const changes = await readChangesSince(at.store.db, before);
    expect(changes?.map(({ kind, entityId }) => [kind, entityId])).toStrictEqual([
      ['agent', agents[0]?.id],
      ['agent', agents[2]?.id],
      ['user', mia.id],
    ]);
  });

  it.each([
    ['deleted', (user: UserRecord) => remove(user)],
    ['disabled', (user: UserRecord) => change(user, { disabled: true })],
    ['demoted', (user: UserRecord) => change(user, { scopes: ['gateway:write'] })],
  ])('are not %s when they are the last admin of the project', async (_name, act) => {
    const refusal = { reason: 'failed_precondition', metadata: { condition: 'last_admin' } };
    await add({ scopes: ['gateway:write'] });
    await expect(act(at.user)).rejects.toMatchObject(refusal);
    expect(await findUser(at.store.db, at.user.id)).toStrictEqual(at.user);
    const second = await add({ username: 'second', scopes: ['admin'] });
    await act(at.user);
    await expect(act(second)).rejects.toMatchObject(refusal);
  });

  it('choose passwords that keep the rules', async () => {
    await expect(hashNewPassword(at.passwords, 'password', 'hunter2')).rejects.toMatchObject({
      reason: 'validation_failed',
      message: 'password must have 12 to 256 characters.',
      violations: [{ field: 'password', description: 'must have 12 to 256 characters' }],
    });
    const hash = await hashNewPassword(at.passwords, 'password', 'hunter2hunter2');
    expect(await at.passwords.verify('hunter2hunter2', hash)).toBe(true);
  });
});

it.each(DATABASES)('two admins who remove each other at once leave one on $kind', async ({ createLocation }) => {
  const { store, clock, projectId, user } = await createInstallation(createClock(), await createLocation());
  const input = { projectId, username: 'second', email: '', scopes: ['admin' as const], teams: [], passwordHash: '' };
  const second = await write(store, clock, (w) => addUser(w, principal(user.id, projectId, 'admin'), input));
  const targets = [user, second].map(({ id }) => ({ id, projectId, revision: undefined }));
  const results = await Promise.allSettled(
    targets.map((target) => write(store, clock, (writing) => removeUser(writing, target))),
  );
  expect(results.map(({ status }) => status).sort()).toStrictEqual(['fulfilled', 'rejected']);
  await store.close();
});
