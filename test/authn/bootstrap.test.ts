import { afterEach, assert, beforeEach, describe, expect, it } from 'vitest';
import { createApiKey, hashApiKey } from '../../src/authn/api-key.ts';
import { bootstrap } from '../../src/authn/bootstrap.ts';
import { openKeyring } from '../../src/authn/keyring.ts';
import { createPasswords } from '../../src/authn/password.ts';
import { isWellFormedApiKey } from '../../src/config/api-key-form.ts';
import { createSecret } from '../../src/config/secret.ts';
import { createSecretBox } from '../../src/config/secret-box.ts';
import { listApiKeys } from '../../src/db/api-keys.ts';
import { listProjects } from '../../src/db/projects.ts';
import { openDatabase, type Store } from '../../src/db/store.ts';
import { deleteUpstream, listUpstreams } from '../../src/db/upstreams.ts';
import { listUsers } from '../../src/db/users.ts';
import { createClock, DATABASES } from './installation.ts';

const passwords = createPasswords();
const { now, time } = createClock();

describe.each(DATABASES)('the first start on $kind', ({ kind, createLocation }) => {
  let store: Store;
  let replica: Store;

  beforeEach(async () => {
    const location = await createLocation();
    store = await openDatabase(location);
    replica = kind === 'postgres' ? await openDatabase(location) : store;
  });
  afterEach(async () => {
    await store.close();
    await (replica === store ? undefined : replica.close());
  });

  const start = (config: Partial<Parameters<typeof bootstrap>[0]['config']> = {}, on = store) =>
    bootstrap({ store: on, passwords, config: { demoUpstream: false, ...config }, now });
  const all = { limit: 10 };

  it('makes the project, an admin and a key, and tells both secrets', async () => {
    const { projectId, firstStart } = await start();
    expect(firstStart).toStrictEqual({
      username: 'admin',
      password: expect.stringMatching(/^[0-9A-Za-z]{22}$/),
      apiKey: expect.stringMatching(/^pc_/),
    });
    expect(isWellFormedApiKey(firstStart?.apiKey ?? '')).toBe(true);
    expect(await listProjects(store.db, all)).toStrictEqual([
      {
        id: projectId,
        slug: 'default',
        displayName: 'Default',
        recordedArguments: 'redacted',
        redactedKeys: [],
        defaultEffect: 'allow',
        revision: 1,
        createTime: time,
        updateTime: time,
      },
    ]);
    const [user] = await listUsers(store.db, all);
    expect(user).toMatchObject({ projectId, username: 'admin', email: '', scopes: ['admin'], disabled: false });
    expect(await passwords.verify(firstStart?.password ?? '', user?.passwordHash)).toBe(true);
    expect(await listApiKeys(store.db, all)).toMatchObject([
      {
        projectId,
        ownerKind: 'user',
        ownerId: user?.id,
        scopes: ['gateway:read', 'gateway:write', 'tools:call', 'approvals:decide'],
        grants: 'all',
        secrets: [{ secretHash: hashApiKey(firstStart?.apiKey ?? '') }],
      },
    ]);
  });

  it('takes a given password and key, and does not tell them', async () => {
    const key = createApiKey();
    const config = { adminPassword: createSecret('correct horse battery'), bootstrapApiKey: createSecret(key) };
    expect((await start(config)).firstStart).toStrictEqual({ username: 'admin' });
    const [user] = await listUsers(store.db, all);
    expect(await passwords.verify('correct horse battery', user?.passwordHash)).toBe(true);
    expect(await listApiKeys(store.db, all)).toMatchObject([{ secrets: [{ secretHash: hashApiKey(key) }] }]);
  });

  it('is the first only once', async () => {
    const { projectId } = await start();
    expect(await start({ adminPassword: createSecret('another password') })).toStrictEqual({ projectId });
    expect(await listUsers(store.db, all)).toHaveLength(1);
    expect(await listApiKeys(store.db, all)).toHaveLength(1);
  });

  it('is done by one of several replicas that start at once', async () => {
    const config = { demoUpstream: true };
    const starts = await Promise.all([start(config), start(config, replica), start(config), start(config, replica)]);
    expect(starts.filter(({ firstStart }) => firstStart !== undefined)).toHaveLength(1);
    expect(new Set(starts.map(({ projectId }) => projectId)).size).toBe(1);
    expect(await listProjects(store.db, all)).toHaveLength(1);
    expect(await listUsers(store.db, all)).toHaveLength(1);
    expect(await listApiKeys(store.db, all)).toHaveLength(1);
    expect(await listUpstreams(store.db, all)).toHaveLength(1);
  });

  it('makes one signing key, however many replicas start at once', async () => {
    const secretBox = createSecretBox(createSecret('T7vq0LrX2mWc9ZkP4sYb8HdN1fGj5uAe'));
    const rings = await Promise.all(
      [store, replica, store, replica].map((on) => openKeyring({ store: on, secretBox, now })),
    );
    expect(new Set(rings.map(({ kid }) => kid)).size).toBe(1);
    expect(await store.db.selectFrom('signing_keys').select('kid').execute()).toHaveLength(1);
  });

  it('makes the demo upstream while there is none and the demo is on', async () => {
    const { projectId } = await start();
    expect(await listUpstreams(store.db, all)).toStrictEqual([]);
    await start({ demoUpstream: true });
    const [demo] = await listUpstreams(store.db, all);
    assert(demo);
    expect(demo).toMatchObject({
      projectId,
      slug: 'everything',
      transport: { kind: 'stdio', command: 'mcp-server-everything', args: ['stdio'], sharing: 'per_principal' },
      enabled: true,
    });
    await start({ demoUpstream: true });
    expect(await listUpstreams(store.db, all)).toStrictEqual([demo]);
    await deleteUpstream(store.db, demo.id);
    await start({ demoUpstream: true });
    expect(await listUpstreams(store.db, all)).toMatchObject([{ slug: 'everything' }]);
  });
});
