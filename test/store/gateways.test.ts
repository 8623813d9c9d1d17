import { describe, expect, it, onTestFinished } from 'vitest';
import { withChange } from '../../src/db/config-changes.ts';
import {
  findGateway,
  findGatewayBySlug,
  findGateways,
  insertGateway,
  listGateways,
  listGatewayVersions,
  updateGateway,
} from '../../src/db/gateways.ts';
import { insertProject } from '../../src/db/projects.ts';
import type { Store } from '../../src/db/store.ts';
import type { Gateway } from '../../src/domain/gateway.ts';
import type { GatewayId, ProjectId } from '../../src/domain/ids.ts';
import { createHotConfig } from '../../src/snapshot/hot-config.ts';
import { databases, openUntilTestEnds } from './databases.ts';
import { GATEWAY, gateway, NOW, PROJECT, project } from './samples.ts';

const ELSEWHERE = 'project-2' as ProjectId;
const V2 = 'gateway-2' as GatewayId;

describe.each(databases)('gateways on $name', ({ locate }) => {
  it('are read as they were stored, whatever they override', async () => {
    const { db } = await openUntilTestEnds(await locate());
    await insertProject(db, project());
    const full = gateway({
      description: 'NUL \0 and 🏰',
      commonOverrides: { toolDefinitionGuardrails: { enabled: true, block: ['pii'] } },
      upstreams: [
        {
          slug: 'files',
          version: 'v2',
          inputGuardrails: { guardrailName: 'x', block: [], additionalConfig: { deep: [{ a: null }] } },
          toolFilter: { allowedTools: ['read_*'], deniedTools: [] },
          namePrefix: '',
          tools: { toString: { name: 'make', fixedArguments: { root: '/srv' } } },
          timeoutMs: 1_500,
        },
      ],
      discoveryMode: 'search',
    });
    await insertGateway(db, full);
    const deleted = gateway({ id: V2, version: 'v2', deleteTime: NOW + 5 });
    await insertGateway(db, deleted);

    expect(await findGateway(db, GATEWAY)).toStrictEqual(full);
    expect(await findGatewayBySlug(db, PROJECT, 'tools-of-all', 'v1')).toStrictEqual(full);
    expect(await findGatewayBySlug(db, PROJECT, 'tools-of-all', 'v2')).toStrictEqual(deleted);
    expect(await findGateways(db, [V2, 'none', GATEWAY])).toStrictEqual([full, deleted]);
    expect(await listGatewayVersions(db, PROJECT, 'tools-of-all')).toStrictEqual([full, deleted]);
    expect(await findGateways(db, [])).toEqual([]);
  });

  it('have a slug and version of their own within a project, also against deleted ones', async () => {
    const { db } = await openUntilTestEnds(await locate());
    await insertProject(db, project());
    await insertProject(db, project({ id: ELSEWHERE, slug: 'second' }));
    await insertGateway(db, gateway({ deleteTime: NOW }));
    await insertGateway(db, gateway({ id: V2, version: 'v2' }));
    await insertGateway(db, gateway({ id: 'g3' as GatewayId, projectId: ELSEWHERE }));

    await expect(insertGateway(db, gateway({ id: 'g4' as GatewayId }))).rejects.toMatchObject({
      reason: 'already_exists',
      message:
        'There is a gateway with this slug and version in the project. Choose another slug or version, or, if it is deleted, bring it back with UndeleteGateway.',
    });
    expect((await findGatewayBySlug(db, ELSEWHERE, 'tools-of-all', 'v1'))?.id).toBe('g3');
    expect(await findGatewayBySlug(db, ELSEWHERE, 'tools-of-all', 'v2')).toBeUndefined();
  });

  it('are listed page by page, of one project or of all', async () => {
    const { db } = await openUntilTestEnds(await locate());
    await insertProject(db, project());
    await insertProject(db, project({ id: ELSEWHERE, slug: 'second' }));
    for (const id of ['a', 'b', 'c'] as GatewayId[]) {
      await insertGateway(db, gateway({ id, slug: id }));
    }
    await insertGateway(db, gateway({ id: 'aa' as GatewayId, projectId: ELSEWHERE }));

    const ids = (gateways: readonly Gateway[]) => gateways.map(({ id }) => id);
    expect(ids(await listGateways(db, { projectId: PROJECT, limit: 2 }))).toEqual(['a', 'b']);
    expect(ids(await listGateways(db, { projectId: PROJECT, afterId: 'b', limit: 2 }))).toEqual(['c']);
    expect(ids(await listGateways(db, { limit: 9 }))).toEqual(['a', 'aa', 'b', 'c']);
  });

  it('are written once for each revision that was read', async () => {
    const { db } = await openUntilTestEnds(await locate());
    await insertProject(db, project());
    await insertGateway(db, gateway());

    const renamed = await updateGateway(db, gateway({ displayName: 'Second', deleteTime: NOW }));
    expect(renamed).toStrictEqual(gateway({ displayName: 'Second', deleteTime: NOW, revision: 2 }));
    expect(await findGateway(db, GATEWAY)).toStrictEqual(renamed);
    expect(await updateGateway(db, gateway({ displayName: 'Third' }))).toBeUndefined();
    await updateGateway(db, gateway({ revision: 2 }));
    expect(await findGateway(db, GATEWAY)).toStrictEqual(gateway({ revision: 3 }));
  });
});

describe.each(databases)('gateways in the hot configuration on $name', ({ locate }) => {
  /** A store with a project, and its configuration; polling is off, so that what is seen came by the change itself. */
  async function follow() {
    const store = await openUntilTestEnds(await locate());
    await insertProject(store.db, project());
    const config = await createHotConfig(store, { pollMs: 1_000_000 });
    onTestFinished(() => config.close());
    const heard: [id: string, displayName: string | undefined][] = [];
    config.onGatewayChange((changed, id) => heard.push([id, changed?.displayName]));
    return { store, config, heard };
  }

  const insert = (store: Store, added: Gateway) =>
    withChange(store, 'gateway', added.id, (trx) => insertGateway(trx, added));
  const update = (store: Store, changed: Gateway) =>
    withChange(store, 'gateway', changed.id, (trx) => updateGateway(trx, changed));

  it('come, change, go when they are deleted, and come back', async () => {
    const { store, config, heard } = await follow();
    await insert(store, gateway());
    expect(config.findGateway(PROJECT, 'tools-of-all')).toStrictEqual(gateway());
    await update(store, gateway({ displayName: 'Second' }));
    expect(config.findGateway(PROJECT, GATEWAY)).toMatchObject({ displayName: 'Second', revision: 2 });
    await update(store, gateway({ revision: 2, deleteTime: NOW }));
    expect(config.findGateway(PROJECT, 'tools-of-all')).toBeUndefined();
    expect(config.findGateway(PROJECT, GATEWAY)).toBeUndefined();
    await update(store, gateway({ revision: 3, displayName: 'Back' }));
    expect(config.findGateway(PROJECT, 'tools-of-all')?.displayName).toBe('Back');

    expect(heard).toEqual([
      [GATEWAY, 'All tools'],
      [GATEWAY, 'Second'],
      [GATEWAY, undefined],
      [GATEWAY, 'Back'],
    ]);
  });

  it('are found by address, where a slug alone means v1, in their own project', async () => {
    const { store, config } = await follow();
    await insert(store, gateway());
    await insert(store, gateway({ id: V2, version: 'v2' }));

    const found = (name: string) => config.findGateway(PROJECT, name)?.id;
    expect(['tools-of-all', 'tools-of-all@v1', 'tools-of-all@v2', 'tools-of-all@v3', V2].map(found)).toEqual([
      GATEWAY,
      GATEWAY,
      V2,
      undefined,
      V2,
    ]);
    expect(config.findGateway(ELSEWHERE, 'tools-of-all')).toBeUndefined();
  });

  it('are loaded at the start without the deleted ones', async () => {
    const { store } = await follow();
    await insert(store, gateway({ deleteTime: NOW }));
    await insert(store, gateway({ id: V2, version: 'v2' }));
    const config = await createHotConfig(store, { pollMs: 1_000_000 });
    onTestFinished(() => config.close());

    expect(config.findGateway(PROJECT, 'tools-of-all')).toBeUndefined();
    expect(config.findGateway(PROJECT, 'tools-of-all@v2')?.id).toBe(V2);
  });

  it('that became different are told also when everything is read again', async () => {
    const { store, config, heard } = await follow();
    await insert(store, gateway());
    await insert(store, gateway({ id: V2, version: 'v2' }));
    heard.length = 0;
    // Changes that no doorbell told of, the first of which is no longer kept.
    await store.db.updateTable('config_state').set({ version: 50 }).execute();
    await updateGateway(store.db, gateway({ deleteTime: NOW }));
    await insertGateway(store.db, gateway({ id: 'new' as GatewayId, slug: 'new', displayName: 'New' }));
    await config.refresh();

    expect(heard).toHaveLength(2);
    expect(Object.fromEntries(heard)).toEqual({ [GATEWAY]: undefined, new: 'New' });
  });
});
