import { describe, expect, it } from 'vitest';
import type { LogStore } from '../../src/db/log-store.ts';
import { pruneStates } from '../../src/db/state-pruning.ts';
import type { Store } from '../../src/db/store.ts';
import { peek } from './counting.ts';
import { databases, openUntilTestEnds } from './databases.ts';
import { decision, PROJECT } from './samples.ts';

/** Far enough ahead that nothing expires by itself while the test runs. */
const START = Date.now() + 86_400_000;

function write(log: LogStore, id: string, key: string, expireTime: number, keepsTime = true): Promise<void> {
  return log.decide([{ key }], ([state]) => ({
    decision: decision(id),
    writes: [{ key, projectId: PROJECT, value: (state?.value ?? 0) + 1, time: START, keepsTime, expireTime }],
    result: undefined,
  }));
}

async function keysOf({ db }: Store) {
  const states = await db.selectFrom('policy_states').select('key').orderBy('key').execute();
  const times = await db.selectFrom('policy_state_times').select(['key', 'update_number']).orderBy('key').execute();
  return { states: states.map((row) => row.key), times: times.map((row) => `${row.key} ${row.update_number}`) };
}

describe.each(databases)('pruning state on $name', ({ locate }) => {
  it('removes what has expired, and nothing else', async () => {
    const store = await openUntilTestEnds(await locate());
    await write(store.log, 'd1', 'a', START);
    await write(store.log, 'd2', 'b', START + 1);
    await write(store.log, 'd3', 'c', START, false);

    expect(await pruneStates(store, START)).toBe(3);
    expect(await keysOf(store)).toEqual({ states: ['b'], times: ['b 1'] });
    expect(await pruneStates(store, START)).toBe(0);
  });

  it('removes more than one statement does', async () => {
    const store = await openUntilTestEnds(await locate());
    await Promise.all(Array.from({ length: 1_200 }, (_, n) => write(store.log, `d${n}`, `k${n % 700}`, START)));

    expect(await pruneStates(store, START)).toBe(1_900);
    expect(await keysOf(store)).toEqual({ states: [], times: [] });
  });

  it('leaves a state while times of it are kept, so that its updates are counted on', async () => {
    const store = await openUntilTestEnds(await locate());
    await write(store.log, 'd1', 'a', START + 500);
    await write(store.log, 'd2', 'a', START);
    await pruneStates(store, START);

    expect(await keysOf(store)).toEqual({ states: ['a'], times: ['a 1'] });
    await write(store.log, 'd3', 'a', START + 900);
    expect(await keysOf(store)).toEqual({ states: ['a'], times: ['a 1', 'a 3'] });
    expect(await pruneStates(store, START + 900)).toBe(3);
  });

  it('does not hinder calls that write the same state', async () => {
    const store = await openUntilTestEnds(await locate());
    await Promise.all(Array.from({ length: 600 }, (_, n) => write(store.log, `d${n}`, `k${n}`, START)));
    const calls = Array.from({ length: 600 }, (_, n) => write(store.log, `e${n}`, `k${n}`, START + 500));
    await Promise.all([pruneStates(store, START), ...calls]);
    await pruneStates(store, START);

    const { states } = await keysOf(store);
    expect(states).toHaveLength(600);
    expect((await peek(store.log, 'last', 'k7', 1))?.pastTime).toBe(START);
  });
});

describe('the log of the embedded database', () => {
  it('drops times that have expired as it writes new ones', async () => {
    const [{ locate }] = databases as [(typeof databases)[number]];
    const store = await openUntilTestEnds(await locate());
    for (const id of ['d1', 'd2', 'd3']) await write(store.log, id, 'past', 1);

    expect((await keysOf(store)).times).toEqual([]);
    await write(store.log, 'd4', 'now', START);
    expect((await keysOf(store)).times).toEqual(['now 1']);
  });
});
