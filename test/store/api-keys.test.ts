import { describe, expect, it } from 'vitest';
import {
  addApiKeySecret,
  findApiKey,
  insertApiKey,
  listApiKeys,
  revokeApiKey,
  touchApiKeys,
  updateApiKey,
} from '../../src/db/api-keys.ts';
import type { ApiKeyId, GatewayId, PrincipalId } from '../../src/domain/ids.ts';
import { databases, openUntilTestEnds } from './databases.ts';
import { apiKey, GATEWAY, insertOwner, KEY, NOW, PROJECT, UPSTREAM, USER } from './samples.ts';

describe.each(databases)('ApiKeys on $name', ({ locate }) => {
  it('are read as they were stored', async () => {
    const { db } = await openUntilTestEnds(await locate());
    await insertOwner(db);
    const granted = apiKey({ grants: [UPSTREAM], gatewayGrants: [GATEWAY], expireTime: NOW + 1, lastUseTime: NOW });
    await insertApiKey(db, granted);

    expect(await findApiKey(db, KEY)).toEqual(granted);
    expect(await findApiKey(db, 'other' as ApiKeyId)).toBeUndefined();
  });

  it('are listed with their secrets, by project and by owner', async () => {
    const { db } = await openUntilTestEnds(await locate());
    await insertOwner(db);
    for (const n of [1, 2, 3]) {
      const secrets = [{ secretHash: `h${n}`, keyPrefix: `pc_${n}`, createTime: NOW }];
      await insertApiKey(db, apiKey({ id: `k${n}` as ApiKeyId, secrets }));
    }

    const page = await listApiKeys(db, { projectId: PROJECT, ownerId: USER, afterId: 'k1', limit: 1 });
    expect(page.map((key) => [key.id, key.secrets[0]?.secretHash])).toEqual([['k2', 'h2']]);
    expect(await listApiKeys(db, { ownerId: 'nobody' as PrincipalId, limit: 5 })).toEqual([]);
  });

  it('lose their expiry when it is set to null, and keep it when it is not named', async () => {
    const { db } = await openUntilTestEnds(await locate());
    await insertOwner(db);
    await insertApiKey(db, apiKey({ expireTime: NOW + 1 }));

    const renamed = await updateApiKey(db, KEY, 1, { displayName: 'desk', updateTime: NOW });
    expect(renamed).toEqual(apiKey({ displayName: 'desk', expireTime: NOW + 1, revision: 2 }));
    const kept = await updateApiKey(db, KEY, 2, { expireTime: null, updateTime: NOW });
    expect(kept).toEqual(apiKey({ displayName: 'desk', revision: 3 }));
    expect(await updateApiKey(db, KEY, 2, { displayName: 'stale', updateTime: NOW })).toBeUndefined();
  });

  it('lose their gateways when others replace them', async () => {
    const { db } = await openUntilTestEnds(await locate());
    await insertOwner(db);
    await insertApiKey(db, apiKey({ grants: [], gatewayGrants: [GATEWAY] }));

    const moved = await updateApiKey(db, KEY, 1, { gatewayGrants: ['gateway-2' as GatewayId], updateTime: NOW });
    expect(moved).toEqual(apiKey({ grants: [], gatewayGrants: ['gateway-2' as GatewayId], revision: 2 }));
    const without = await updateApiKey(db, KEY, 2, { grants: 'all', gatewayGrants: [], updateTime: NOW });
    expect(without).toEqual(apiKey({ revision: 3 }));
  });

  it('have two secrets during the overlap of a rotation, and drop what ended before the next one', async () => {
    const { db } = await openUntilTestEnds(await locate());
    await insertOwner(db);
    await insertApiKey(db, apiKey());
    const second = { secretHash: 'hash-2', keyPrefix: 'pc_bbbbbbbb', createTime: NOW + 10 };
    const third = { secretHash: 'hash-3', keyPrefix: 'pc_cccccccc', createTime: NOW + 100 };

    expect((await addApiKeySecret(db, KEY, second, NOW + 50))?.secrets).toEqual([
      { secretHash: 'hash-2', keyPrefix: 'pc_bbbbbbbb', createTime: NOW + 10 },
      { secretHash: 'hash-1', keyPrefix: 'pc_aaaaaaaa', createTime: NOW, expireTime: NOW + 50 },
    ]);
    expect((await addApiKeySecret(db, KEY, third, NOW + 150))?.secrets).toEqual([
      { secretHash: 'hash-3', keyPrefix: 'pc_cccccccc', createTime: NOW + 100 },
      { secretHash: 'hash-2', keyPrefix: 'pc_bbbbbbbb', createTime: NOW + 10, expireTime: NOW + 150 },
    ]);
    expect((await findApiKey(db, KEY))?.revision).toBe(3);
  });

  it('never let a rotation prolong an overlap that is already ending', async () => {
    const { db } = await openUntilTestEnds(await locate());
    await insertOwner(db);
    await insertApiKey(db, apiKey());
    await addApiKeySecret(db, KEY, { secretHash: 'hash-2', keyPrefix: 'pc_b', createTime: NOW + 1 }, NOW + 50);

    const key = await addApiKeySecret(
      db,
      KEY,
      { secretHash: 'hash-3', keyPrefix: 'pc_c', createTime: NOW + 2 },
      NOW + 900,
    );
    expect(key?.secrets.map((secret) => secret.expireTime)).toEqual([undefined, NOW + 900, NOW + 50]);
  });

  it('stay revoked since the first time', async () => {
    const { db } = await openUntilTestEnds(await locate());
    await insertOwner(db);
    await insertApiKey(db, apiKey());

    expect(await revokeApiKey(db, KEY, NOW + 1)).toEqual(
      apiKey({ revokeTime: NOW + 1, updateTime: NOW + 1, revision: 2 }),
    );
    expect((await revokeApiKey(db, KEY, NOW + 2))?.revokeTime).toBe(NOW + 1);
    expect(await revokeApiKey(db, 'other' as ApiKeyId, NOW)).toBeUndefined();
  });

  it('note their last use, many at once and never backwards', async () => {
    const { db } = await openUntilTestEnds(await locate());
    await insertOwner(db);
    const ids = Array.from({ length: 1_200 }, (_, n) => `k${String(n).padStart(4, '0')}` as ApiKeyId);
    await db.transaction().execute(async (trx) => {
      for (const id of ids) await insertApiKey(trx, apiKey({ id, secrets: [] }));
    });

    await touchApiKeys(db, new Map(ids.map((id, n) => [id, NOW + n])));
    await touchApiKeys(db, new Map([['k0001' as ApiKeyId, 5]]));
    await touchApiKeys(db, new Map());
    const keys = await listApiKeys(db, { limit: 2_000 });
    expect(keys.map((key) => key.lastUseTime)).toEqual(ids.map((_, n) => NOW + n));
    expect(keys[0]?.revision).toBe(1);
  });
});
