import { describe, expect, it } from 'vitest';
import {
  deleteExpired,
  endRefreshFamily,
  endUserRefreshTokens,
  insertRefreshToken,
  useRefreshToken,
} from '../../src/db/refresh-tokens.ts';
import {
  countAdmins,
  deleteUser,
  findUser,
  findUserByUsername,
  insertUser,
  listUsers,
  updateUser,
} from '../../src/db/users.ts';
import type { PrincipalId, ProjectId } from '../../src/domain/ids.ts';
import { databases, openUntilTestEnds } from './databases.ts';
import { insertOwner, NOW, PROJECT, USER, user } from './samples.ts';

const OTHER = 'user-2' as PrincipalId;
const token = (tokenHash: string) => ({
  tokenHash,
  userId: USER,
  familyId: 'family-1',
  createTime: NOW,
  expireTime: NOW + 1_000,
});

describe.each(databases)('users on $name', ({ locate }) => {
  it('are found by their name whatever its case', async () => {
    const { db } = await openUntilTestEnds(await locate());
    await insertOwner(db);

    expect(await findUserByUsername(db, 'ADA')).toEqual(user());
    expect(await findUser(db, USER)).toEqual(user());
    expect(await findUserByUsername(db, 'ad')).toBeUndefined();
  });

  it('refuse a name that is taken in other letters', async () => {
    const { db } = await openUntilTestEnds(await locate());
    await insertOwner(db);

    const taken = { reason: 'already_exists', message: 'There is a user with this name. Choose another name.' };
    await expect(insertUser(db, user({ id: OTHER, username: 'Ada' }))).rejects.toMatchObject(taken);
  });

  it('are listed by project', async () => {
    const { db } = await openUntilTestEnds(await locate());
    await insertOwner(db);
    await insertUser(db, user({ id: OTHER, username: 'bob' }));

    expect((await listUsers(db, { projectId: PROJECT, limit: 10 })).map((found) => found.username)).toEqual([
      'ada',
      'bob',
    ]);
    expect(await listUsers(db, { projectId: 'elsewhere' as ProjectId, limit: 10 })).toEqual([]);
    expect((await listUsers(db, { afterId: USER, limit: 10 })).map((found) => found.username)).toEqual(['bob']);
  });

  it('change from the revision that was read', async () => {
    const { db } = await openUntilTestEnds(await locate());
    await insertOwner(db);

    const changed = await updateUser(db, USER, 1, {
      disabled: true,
      scopes: [],
      teams: ['finance', 'research'],
      tokensValidAfter: NOW,
      updateTime: NOW + 1,
    });
    expect(changed).toEqual({
      ...user(),
      disabled: true,
      scopes: [],
      teams: ['finance', 'research'],
      tokensValidAfter: 1_790_000_000_000,
      revision: 2,
      updateTime: NOW + 1,
    });
    expect(await updateUser(db, USER, 1, { disabled: false, updateTime: NOW })).toBeUndefined();
  });

  it('count as admins while they are enabled and have the scope', async () => {
    const { db } = await openUntilTestEnds(await locate());
    await insertOwner(db);
    await insertUser(db, user({ id: 'a1' as PrincipalId, username: 'root', scopes: ['admin'] }));
    await insertUser(db, user({ id: 'a2' as PrincipalId, username: 'gone', scopes: ['admin'], disabled: true }));

    expect(await countAdmins(db, PROJECT)).toBe(1);
  });
});

describe.each(databases)('refresh tokens on $name', ({ locate }) => {
  it('are used once, and a second use is told apart from a stranger', async () => {
    const { db } = await openUntilTestEnds(await locate());
    await insertOwner(db);
    await insertRefreshToken(db, token('t1'));

    expect(await useRefreshToken(db, 't1', NOW)).toEqual({ status: 'ok', userId: USER, familyId: 'family-1' });
    expect(await useRefreshToken(db, 't1', NOW)).toEqual({ status: 'reused', userId: USER, familyId: 'family-1' });
    expect(await useRefreshToken(db, 't2', NOW)).toEqual({ status: 'unknown' });
  });

  it('expire at their time, and are then removed', async () => {
    const { db } = await openUntilTestEnds(await locate());
    await insertOwner(db);
    await insertRefreshToken(db, token('t1'));

    expect(await useRefreshToken(db, 't1', NOW + 1_000)).toEqual({ status: 'expired' });
    await deleteExpired(db, NOW + 999);
    expect(await useRefreshToken(db, 't1', NOW + 1_000)).toEqual({ status: 'expired' });
    await deleteExpired(db, NOW + 1_000);
    expect(await useRefreshToken(db, 't1', NOW + 1_000)).toEqual({ status: 'unknown' });
  });

  it('are used by one of two at the same time', async () => {
    const { db } = await openUntilTestEnds(await locate());
    await insertOwner(db);
    await insertRefreshToken(db, token('t1'));

    const uses = await Promise.all([useRefreshToken(db, 't1', NOW), useRefreshToken(db, 't1', NOW)]);
    expect(uses.map((use) => use.status).sort()).toEqual(['ok', 'reused']);
  });

  it('end with their family, with their user’s sessions, and with their user', async () => {
    const { db } = await openUntilTestEnds(await locate());
    await insertOwner(db);
    const ends = [
      () => endRefreshFamily(db, 'family-1'),
      () => endUserRefreshTokens(db, USER),
      () => deleteUser(db, USER),
    ];
    for (const end of ends) {
      await insertRefreshToken(db, token('t1'));
      await end();
      expect(await useRefreshToken(db, 't1', NOW)).toEqual({ status: 'unknown' });
    }
  });
});
