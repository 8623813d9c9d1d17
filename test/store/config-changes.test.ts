import { sql } from 'kysely';
import { describe, expect, it, vi } from 'vitest';
import {
  lockConfig,
  pruneChanges,
  readChangesSince,
  readConfigVersion,
  recordChange,
  withChange,
  withChanges,
} from '../../src/db/config-changes.ts';
import { findProject, insertProject, updateProject } from '../../src/db/projects.ts';
import { insertUser } from '../../src/db/users.ts';
import { databases, openUntilTestEnds } from './databases.ts';
import { insertOwner, NOW, PROJECT, project, USER, user } from './samples.ts';

describe.each(databases)('changes of configuration on $name', ({ locate }) => {
  it('are numbered without gaps and read in their order', async () => {
    const store = await openUntilTestEnds(await locate());
    await withChanges(store, async (trx, changed) => {
      await insertProject(trx, project());
      changed('project', PROJECT);
      await insertUser(trx, user());
      changed('user', USER);
    });
    await withChange(store, 'ended_session', 'session-1', async () => {});

    expect(await readConfigVersion(store.db)).toBe(3);
    expect(await readChangesSince(store.db, 1)).toEqual([
      { version: 2, kind: 'user', entityId: 'user-1' },
      { version: 3, kind: 'ended_session', entityId: 'session-1' },
    ]);
    expect(await readChangesSince(store.db, 3)).toEqual([]);
  });

  it('tell the version they got, within their transaction', async () => {
    const store = await openUntilTestEnds(await locate());
    const versions = await store.db.transaction().execute(async (trx) => {
      const first = await recordChange(trx, 'approval', 'approval-1');
      return [first, await recordChange(trx, 'approval', 'approval-2')];
    });

    expect(versions).toEqual([1, 2]);
    expect((await readChangesSince(store.db, 1))?.map((change) => change.entityId)).toEqual(['approval-2']);
  });

  it('leave nothing behind when the write fails', async () => {
    const store = await openUntilTestEnds(await locate());
    const rung = vi.fn<() => void>();
    store.onConfigChange(rung);
    const failing = withChange(store, 'project', PROJECT, async (trx) => {
      await insertProject(trx, project());
      throw new Error('on purpose');
    });

    await expect(failing).rejects.toThrow('on purpose');
    expect(await readConfigVersion(store.db)).toBe(0);
    expect(await findProject(store.db, PROJECT)).toBeUndefined();
    expect(rung).not.toHaveBeenCalled();
  });

  it('are recorded only when there are any', async () => {
    const store = await openUntilTestEnds(await locate());
    expect(await withChanges(store, async () => 'nothing to do')).toBe('nothing to do');
    expect(await readConfigVersion(store.db)).toBe(0);
  });

  it('have been heard by this replica when the write resolves', async () => {
    // The notification rings a second time, perhaps after the end of the test.
    const store = await openUntilTestEnds(await locate(), () => {});
    const seen: (string | undefined)[] = [];
    store.onConfigChange(async () => {
      seen.push((await findProject(store.db, PROJECT))?.slug);
    });

    await withChange(store, 'project', PROJECT, (trx) => insertProject(trx, project()));
    expect(seen[0]).toBe('default');
  });

  it('are told to a replica that is too far behind as unknown', async () => {
    const store = await openUntilTestEnds(await locate());
    for (let n = 0; n < 3; n++) await withChange(store, 'project', PROJECT, async () => {});
    await pruneChanges(store.db, 2);

    expect(await readChangesSince(store.db, 1)).toBeUndefined();
    expect(await readChangesSince(store.db, 2)).toEqual([{ version: 3, kind: 'project', entityId: 'project-1' }]);
    expect(await readChangesSince(store.db, 9)).toBeUndefined();
  });

  it('of many writers at once are all there', async () => {
    const store = await openUntilTestEnds(await locate());
    await Promise.all(Array.from({ length: 30 }, (_, n) => withChange(store, 'user', `user-${n}`, async () => {})));

    const changes = await readChangesSince(store.db, 0);
    expect(changes?.map((change) => change.version)).toEqual(Array.from({ length: 30 }, (_, n) => n + 1));
    expect(new Set(changes?.map((change) => change.entityId)).size).toBe(30);
  });

  it('wait for a writer that holds the lock', async () => {
    const store = await openUntilTestEnds(await locate());
    await insertOwner(store.db);
    const locked = Promise.withResolvers<void>();
    const first = store.db.transaction().execute(async (trx) => {
      await lockConfig(trx);
      locked.resolve();
      // Long enough for the second writer to read the old name, if nothing held it back.
      for (let n = 0; n < 50; n++) await sql`select 1`.execute(trx);
      await updateProject(trx, PROJECT, 1, { displayName: 'One', updateTime: NOW });
    });
    await locked.promise;
    const second = store.db.transaction().execute(async (trx) => {
      await lockConfig(trx);
      const before = await findProject(trx, PROJECT);
      await updateProject(trx, PROJECT, 2, { displayName: 'Two', updateTime: NOW });
      return before?.displayName;
    });

    await first;
    expect(await second).toBe('One');
    expect((await findProject(store.db, PROJECT))?.displayName).toBe('Two');
  });
});
