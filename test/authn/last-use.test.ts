import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createLastUseWriter } from '../../src/authn/last-use.ts';
import { listApiKeys } from '../../src/db/api-keys.ts';
import type { ApiKeyId } from '../../src/domain/ids.ts';
import { type Clock, createClock, createInstallation } from './installation.ts';

let clock: Clock;
let at: Awaited<ReturnType<typeof createInstallation>>;
let id: ApiKeyId;

beforeEach(async () => {
  clock = createClock();
  at = await createInstallation(clock);
  const [key] = await listApiKeys(at.store.db, { limit: 1 });
  id = key?.id ?? expect.fail();
});
afterEach(() => at.store.close());

const fail = (error: unknown) => expect.fail(String(error));

const readLastUse = async () => (await listApiKeys(at.store.db, { limit: 1 }))[0]?.lastUseTime;

describe('the last use of a key', () => {
  it('is written at intervals, not at each use', async () => {
    const writer = createLastUseWriter(at.store, { intervalMs: 20, now: clock.now, onError: fail });
    writer.note(id);
    clock.time += 500;
    writer.note(id);
    expect(await readLastUse()).toBe(undefined);
    await vi.waitFor(async () => expect(await readLastUse()).toBe(clock.time));
    await writer.close();
  });

  it('is written when the writer closes', async () => {
    const writer = createLastUseWriter(at.store, { now: clock.now, onError: fail });
    writer.note(id);
    await writer.close();
    expect(await readLastUse()).toBe(clock.time);
  });

  it('is kept for the next time when the store fails', async () => {
    const errors: unknown[] = [];
    const store = { db: at.store.db };
    const writer = createLastUseWriter(store, { now: clock.now, onError: (error) => errors.push(error) });
    const broken = await createInstallation();
    await broken.store.close();
    const { db } = store;
    writer.note(id);
    store.db = broken.store.db;
    await writer.flush();
    expect(errors).toHaveLength(1);
    store.db = db;
    await writer.close();
    expect(await readLastUse()).toBe(clock.time);
  });
});
