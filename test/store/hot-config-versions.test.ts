import { describe, expect, it, onTestFinished } from 'vitest';
import { insertApiKey, updateApiKey } from '../../src/db/api-keys.ts';
import { withChange } from '../../src/db/config-changes.ts';
import type { Store } from '../../src/db/store.ts';
import { deleteUpstream, insertUpstream } from '../../src/db/upstreams.ts';
import type { UpstreamId } from '../../src/domain/ids.ts';
import { createHotConfig } from '../../src/snapshot/hot-config.ts';
import { databases, openUntilTestEnds } from './databases.ts';
import { apiKey, GATEWAY, insertOwner, KEY, NOW, PROJECT, UPSTREAM, upstream } from './samples.ts';

const V2 = 'upstream-2' as UpstreamId;

/** Polling is off, so that what is seen came by the change itself. */
async function follow(store: Store) {
  const config = await createHotConfig(store, { pollMs: 1_000_000 });
  onTestFinished(() => config.close());
  return config;
}

describe.each(databases)('versions and gateways in the hot configuration on $name', ({ locate }) => {
  it('are found by address, where a slug alone means v1, and by id', async () => {
    const store = await openUntilTestEnds(await locate());
    await insertOwner(store.db);
    await insertUpstream(store.db, upstream());
    const config = await follow(store);
    await withChange(store, 'upstream', V2, (trx) => insertUpstream(trx, upstream({ id: V2, version: 'v2' })));
    await config.refresh();

    const found = (name: string) => config.findUpstream(PROJECT, name)?.id;
    expect(['files', 'files@v1', 'files@v2', 'files@v3', 'files@', UPSTREAM, V2].map(found)).toEqual([
      UPSTREAM,
      UPSTREAM,
      V2,
      undefined,
      undefined,
      UPSTREAM,
      V2,
    ]);
    await withChange(store, 'upstream', UPSTREAM, (trx) => deleteUpstream(trx, UPSTREAM));
    await config.refresh();
    expect(['files', 'files@v1', 'files@v2'].map(found)).toEqual([undefined, undefined, V2]);
  });

  it('are among the grants of the principal of a key, until the key loses them', async () => {
    const store = await openUntilTestEnds(await locate());
    await insertOwner(store.db);
    await insertApiKey(store.db, apiKey({ grants: [], gatewayGrants: [GATEWAY] }));
    const config = await follow(store);

    expect(config.findKey('hash-1')?.principal).toMatchObject({
      grants: new Set(),
      gatewayGrants: new Set(['gateway-1']),
    });
    await withChange(store, 'api_key', KEY, (trx) =>
      updateApiKey(trx, KEY, 1, { grants: 'all', gatewayGrants: [], updateTime: NOW }),
    );
    await config.refresh();
    const { principal } = config.findKey('hash-1') ?? {};
    expect(principal?.grants).toBe('all');
    expect(principal).not.toHaveProperty('gatewayGrants');
  });
});
