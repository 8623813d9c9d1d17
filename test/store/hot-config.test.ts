import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { addApiKeySecret, insertApiKey, revokeApiKey, updateApiKey } from '../../src/db/api-keys.ts';
import { withChange, withChanges } from '../../src/db/config-changes.ts';
import { endSession } from '../../src/db/ended-sessions.ts';
import { insertPolicy } from '../../src/db/policies.ts';
import { deleteProject, insertProject, updateProject } from '../../src/db/projects.ts';
import type { Store } from '../../src/db/store.ts';
import { deleteUpstream, insertUpstream, updateUpstream } from '../../src/db/upstreams.ts';
import { deleteUser, insertUser, updateUser } from '../../src/db/users.ts';
import type { ApiKeyId, ProjectId, UpstreamId } from '../../src/domain/ids.ts';
import { createHotConfig, type HotConfigOptions } from '../../src/snapshot/hot-config.ts';
import { databases, openUntilTestEnds, SOON } from './databases.ts';
import { apiKey, insertOwner, KEY, NOW, PROJECT, policy, project, UPSTREAM, USER, upstream, user } from './samples.ts';

const AUTHOR = { kind: 'user', id: 'user-1', name: 'ada' } as const;

/** Polling is off unless a test asks for it, so that what is seen came by the way under test. */
async function follow(store: Store, options: HotConfigOptions = { pollMs: 1_000_000 }) {
  const config = await createHotConfig(store, options);
  onTestFinished(() => config.close());
  return config;
}

describe.each(databases)('hot configuration on $name', ({ locate }) => {
  it('finds a key by the hash of its secret, as its principal', async () => {
    const store = await openUntilTestEnds(await locate());
    await insertOwner(store.db);
    await insertApiKey(store.db, apiKey({ grants: [UPSTREAM], expireTime: NOW + 9 }));
    const config = await follow(store);

    expect(config.findKey('hash-1')).toEqual({
      principal: {
        kind: 'user',
        id: 'user-1',
        projectId: 'project-1',
        name: 'ada',
        scopes: new Set(['tools:call']),
        grants: new Set(['upstream-1']),
        teams: ['research'],
        apiKeyId: 'key-1',
        keyPrefix: 'pc_aaaaaaaa',
        expireTime: NOW + 9,
      },
      expireTime: NOW + 9,
      revoked: false,
      ownerDisabled: false,
    });
    expect(config.findKey('hash-1')?.principal).toBe(config.findKey('hash-1')?.principal);
    expect(config.findKey('hash-2')).toBeUndefined();
  });

  it('gives a key no scope that its owner lacks; admin stands for every scope on either side', async () => {
    const store = await openUntilTestEnds(await locate());
    await insertOwner(store.db);
    const cases = [
      { owner: ['tools:call'], key: ['tools:call', 'gateway:write'], effective: ['tools:call'] },
      { owner: ['admin'], key: ['gateway:write'], effective: ['gateway:write'] },
      { owner: ['gateway:read'], key: ['admin'], effective: ['gateway:read'] },
      { owner: ['admin'], key: ['admin'], effective: ['admin'] },
      { owner: [], key: ['tools:call'], effective: [] },
    ] as const;
    await insertApiKey(store.db, apiKey());
    const config = await follow(store);
    for (const [n, { owner, key, effective }] of cases.entries()) {
      await withChanges(store, async (trx, changed) => {
        await updateUser(trx, USER, n + 1, { scopes: owner, updateTime: NOW });
        await updateApiKey(trx, KEY, n + 1, { scopes: key, updateTime: NOW });
        changed('api_key', KEY);
        changed('user', USER);
      });
      expect([...(config.findKey('hash-1')?.principal.scopes ?? ['none found'])]).toEqual(effective);
    }
  });

  it('sees a change of any kind once the write has resolved', async () => {
    const store = await openUntilTestEnds(await locate());
    const config = await follow(store);
    await withChange(store, 'project', PROJECT, (trx) => insertProject(trx, project()));
    await withChange(store, 'user', USER, (trx) => insertUser(trx, user()));
    await withChange(store, 'api_key', KEY, (trx) => insertApiKey(trx, apiKey()));
    await withChange(store, 'upstream', UPSTREAM, (trx) => insertUpstream(trx, upstream()));
    await withChange(store, 'ended_session', 's1', (trx) => endSession(trx, { sessionId: 's1', expireTime: NOW }, 0));

    expect(config.getProject(PROJECT)).toEqual(project());
    expect(config.findUser(USER)).toMatchObject({ principal: { name: 'ada', grants: 'all' }, disabled: false });
    expect(config.findKey('hash-1')?.ownerDisabled).toBe(false);
    expect(config.findUpstream(PROJECT, 'files')).toEqual(upstream());
    expect(config.isSessionEnded('s1')).toBe(true);
    expect(config.isSessionEnded('s2')).toBe(false);

    await withChange(store, 'project', PROJECT, (trx) =>
      updateProject(trx, PROJECT, 1, { defaultEffect: 'deny', updateTime: NOW }),
    );
    await withChange(store, 'api_key', KEY, (trx) => revokeApiKey(trx, KEY, NOW));
    expect(config.getProject(PROJECT).defaultEffect).toBe('deny');
    expect(config.findKey('hash-1')?.revoked).toBe(true);
  });

  it('refuses the keys of a disabled, a deleted and a foreign owner', async () => {
    const store = await openUntilTestEnds(await locate());
    await insertOwner(store.db);
    await insertProject(store.db, project({ id: 'elsewhere' as ProjectId, slug: 'elsewhere' }));
    const secrets = [{ secretHash: 'foreign', keyPrefix: 'pc_f', createTime: NOW }];
    await insertApiKey(store.db, apiKey());
    await insertApiKey(store.db, apiKey({ id: 'key-2' as ApiKeyId, projectId: 'elsewhere' as ProjectId, secrets }));
    const config = await follow(store);

    expect(config.findKey('foreign')?.ownerDisabled).toBe(true);
    await withChange(store, 'user', USER, (trx) => updateUser(trx, USER, 1, { disabled: true, updateTime: NOW }));
    expect(config.findKey('hash-1')?.ownerDisabled).toBe(true);
    expect(config.findUser(USER)?.disabled).toBe(true);
    await withChange(store, 'user', USER, (trx) => updateUser(trx, USER, 2, { disabled: false, updateTime: NOW }));
    expect(config.findKey('hash-1')?.ownerDisabled).toBe(false);
    await withChange(store, 'user', USER, (trx) => deleteUser(trx, USER));
    expect(config.findKey('hash-1')).toMatchObject({ ownerDisabled: true, principal: { scopes: new Set() } });
    expect(config.findUser(USER)).toBeUndefined();
  });

  it('knows both secrets of a rotated key, the older with the end of the overlap', async () => {
    const store = await openUntilTestEnds(await locate());
    await insertOwner(store.db);
    await insertApiKey(store.db, apiKey({ expireTime: NOW + 900 }));
    const config = await follow(store);
    await withChange(store, 'api_key', KEY, (trx) =>
      addApiKeySecret(trx, KEY, { secretHash: 'hash-2', keyPrefix: 'pc_b', createTime: NOW }, NOW + 50),
    );

    expect(config.findKey('hash-1')).toMatchObject({
      secretExpireTime: NOW + 50,
      expireTime: NOW + 900,
      principal: { expireTime: NOW + 50 },
    });
    expect(config.findKey('hash-2')).toMatchObject({
      expireTime: NOW + 900,
      principal: { keyPrefix: 'pc_b', expireTime: NOW + 900 },
    });
    expect(config.findKey('hash-2')).not.toHaveProperty('secretExpireTime');
  });

  it('finds an upstream by id or slug within its project only', async () => {
    const store = await openUntilTestEnds(await locate());
    const elsewhere = 'elsewhere' as ProjectId;
    await insertOwner(store.db);
    await insertProject(store.db, project({ id: elsewhere, slug: 'elsewhere' }));
    await insertUpstream(store.db, upstream());
    await insertUpstream(store.db, upstream({ id: 'u2' as UpstreamId, slug: 'upstream-1' }));
    const config = await follow(store);

    expect(config.findUpstream(PROJECT, 'files')?.id).toBe('upstream-1');
    expect(config.findUpstream(PROJECT, 'upstream-1')?.slug).toBe('files');
    expect(config.findUpstream(elsewhere, 'files')).toBeUndefined();
    expect(config.findUpstream(elsewhere, 'upstream-1')).toBeUndefined();
    expect([...config.upstreams(PROJECT)].map((found) => found.id).sort()).toEqual(['u2', 'upstream-1']);
    expect([...config.upstreams(elsewhere)]).toEqual([]);
  });

  it('follows slugs that two upstreams exchange', async () => {
    const store = await openUntilTestEnds(await locate());
    const second = 'u2' as UpstreamId;
    await insertOwner(store.db);
    await insertUpstream(store.db, upstream({ slug: 'a' }));
    await insertUpstream(store.db, upstream({ id: second, slug: 'b' }));
    const config = await follow(store);
    await withChanges(store, async (trx, changed) => {
      await updateUpstream(trx, UPSTREAM, 1, { slug: 'c', updateTime: NOW });
      await updateUpstream(trx, second, 1, { slug: 'a', updateTime: NOW });
      await updateUpstream(trx, UPSTREAM, 2, { slug: 'b', updateTime: NOW });
      changed('upstream', second);
      changed('upstream', UPSTREAM);
    });

    expect(config.findUpstream(PROJECT, 'a')?.id).toBe('u2');
    expect(config.findUpstream(PROJECT, 'b')?.id).toBe('upstream-1');
    expect(config.findUpstream(PROJECT, 'c')).toBeUndefined();
  });

  it('tells listeners of upstreams that were created, changed and deleted', async () => {
    const store = await openUntilTestEnds(await locate());
    await insertOwner(store.db);
    const config = await follow(store);
    const heard: [string, string | undefined][] = [];
    const unsubscribe = config.onUpstreamChange((changed, id) => heard.push([id, changed?.displayName]));
    await withChange(store, 'upstream', UPSTREAM, (trx) => insertUpstream(trx, upstream()));
    await withChange(store, 'upstream', UPSTREAM, (trx) =>
      updateUpstream(trx, UPSTREAM, 1, { displayName: 'New', updateTime: NOW }),
    );
    await withChange(store, 'upstream', UPSTREAM, (trx) => deleteUpstream(trx, UPSTREAM));
    unsubscribe();
    await withChange(store, 'upstream', UPSTREAM, (trx) => insertUpstream(trx, upstream()));

    expect(heard).toEqual([
      ['upstream-1', 'Files'],
      ['upstream-1', 'New'],
      ['upstream-1', undefined],
    ]);
  });

  it('forgets a deleted project with its keys', async () => {
    const store = await openUntilTestEnds(await locate());
    await insertOwner(store.db);
    await insertApiKey(store.db, apiKey());
    await insertPolicy(store.db, policy(), AUTHOR);
    const config = await follow(store);
    await withChanges(store, async (trx, changed) => {
      await deleteUser(trx, USER);
      await deleteProject(trx, PROJECT);
      changed('project', PROJECT);
      changed('user', USER);
    });

    expect(config.findKey('hash-1')).toBeUndefined();
    expect(config.getPolicies(PROJECT)).toEqual([]);
    expect(() => config.getProject(PROJECT)).toThrow(expect.objectContaining({ reason: 'not_found' }));
  });

  it('reads everything again when it is too far behind, and tells what became different', async () => {
    const store = await openUntilTestEnds(await locate());
    await insertOwner(store.db);
    await insertUpstream(store.db, upstream({ slug: 'gone' }));
    await insertUpstream(store.db, upstream({ id: 'same' as UpstreamId, slug: 'same' }));
    const config = await follow(store);
    const heard: string[] = [];
    config.onUpstreamChange((_, id) => heard.push(id));
    // Changes that no doorbell told of, the first of which is no longer kept.
    await store.db.updateTable('config_state').set({ version: 5 }).execute();
    await deleteUpstream(store.db, UPSTREAM);
    await insertUpstream(store.db, upstream({ id: 'new' as UpstreamId, slug: 'new' }));
    await config.refresh();

    expect(heard.sort()).toEqual(['new', 'upstream-1']);
    expect(config.findUpstream(PROJECT, 'gone')).toBeUndefined();
    expect(config.findUpstream(PROJECT, 'new')?.id).toBe('new');
    await withChange(store, 'upstream', 'new', (trx) => deleteUpstream(trx, 'new' as UpstreamId));
    expect(config.findUpstream(PROJECT, 'new')).toBeUndefined();
  });

  it('sees changes without a doorbell by polling', async () => {
    const store = await openUntilTestEnds(await locate());
    await insertOwner(store.db);
    await insertApiKey(store.db, apiKey());
    const deaf: Store = { ...store, onConfigChange: () => () => {} };
    const config = await follow(deaf, { pollMs: 20 });
    await withChange(store, 'api_key', KEY, (trx) => revokeApiKey(trx, KEY, NOW));

    await vi.waitFor(() => expect(config.findKey('hash-1')?.revoked).toBe(true), SOON);
  });

  it('loads more rows than one page holds', async () => {
    const store = await openUntilTestEnds(await locate());
    await insertOwner(store.db);
    await store.db.transaction().execute(async (trx) => {
      for (let n = 0; n < 2_500; n++) {
        const secrets = [{ secretHash: `h${n}`, keyPrefix: 'pc_x', createTime: NOW }];
        await insertApiKey(trx, apiKey({ id: `k${n}` as ApiKeyId, secrets }));
      }
    });
    const config = await follow(store);

    const found = Array.from({ length: 2_500 }, (_, n) => config.findKey(`h${n}`)?.principal.apiKeyId);
    expect(found).toEqual(Array.from({ length: 2_500 }, (_, n) => `k${n}`));
  });

  it('grows old while the store can not be read, says so once, and recovers', async () => {
    const store = await openUntilTestEnds(await locate());
    let broken = false;
    const fragile: Store = Object.create(store, {
      db: {
        get: () => {
          if (broken) throw new Error('the store is away');
          return store.db;
        },
      },
    });
    const onError = vi.fn<(error: unknown) => void>();
    const config = await follow(fragile, { pollMs: 5, onError });
    expect(config.ageMs()).toBeLessThan(5_000);
    broken = true;
    await vi.waitFor(() => expect(config.ageMs()).toBeGreaterThan(100), SOON);

    expect(onError.mock.calls).toEqual([[new Error('the store is away')]]);
    await expect(config.refresh()).rejects.toThrow('the store is away');
    broken = false;
    await vi.waitFor(() => expect(config.ageMs()).toBeLessThan(50), SOON);
  });
});
