import { describe, expect, it, vi } from 'vitest';
import { withChange } from '../../src/db/config-changes.ts';
import type { DecideStep, LogStore } from '../../src/db/log-store.ts';
import { insertProject } from '../../src/db/projects.ts';
import { add, decideCounted, peek } from './counting.ts';
import { databases, openUntilTestEnds, SOON } from './databases.ts';
import { decision, NOW, PROJECT, project } from './samples.ts';

const LATER = Date.now() + 3_600_000;
const state = (key: string, value: number) => ({
  key,
  projectId: PROJECT,
  value,
  time: NOW,
  keepsTime: false,
  expireTime: LATER,
});
const listIds = async (log: LogStore) =>
  (await log.list({ projectId: PROJECT, limit: 200 })).map((row) => row.decision.id);

describe.each(databases)('deciding with state on $name', ({ locate }) => {
  it('records the decision and what it changes of the state, and hands on the result', async () => {
    const { log } = await openUntilTestEnds(await locate());
    const first = await log.decide([{ key: 'a' }, { key: 'b' }], (states) => ({
      decision: decision('d1'),
      writes: [{ ...state('b', 0.1 + 0.2), time: NOW + 7 }],
      result: states,
    }));

    expect(first).toEqual([undefined, undefined]);
    expect((await log.get(PROJECT, 'd1'))?.decision).toEqual(decision('d1'));
    expect(await peek(log, 'd2', 'b')).toEqual({ value: 0.30000000000000004, time: 1_790_000_000_007 });
    expect(await peek(log, 'd3', 'a')).toBeUndefined();
  });

  it('admits exactly as many of 64 calls at once as a limit allows', async () => {
    const { log } = await openUntilTestEnds(await locate());
    const calls = Array.from({ length: 64 }, (_, n) => decideCounted(log, { id: `d${n}`, max: 10 }));

    expect((await Promise.all(calls)).filter(Boolean)).toHaveLength(10);
    expect((await peek(log, 'last', 'calls'))?.value).toBe(10);
    const rows = await log.list({ projectId: PROJECT, effect: 'allow', limit: 100 });
    expect(rows).toHaveLength(10);
  });

  it('rolls the window: a call is let through when the one so many before has left it', async () => {
    const { log } = await openUntilTestEnds(await locate());
    const start = Date.now();
    const at = (offset: number) =>
      decideCounted(log, { id: `at ${offset}`, max: 2, windowMs: 60_000, time: start + offset });

    expect([await at(0), await at(10_000), await at(20_000)]).toEqual([true, true, false]);
    // The call at 0 leaves at 60 000, that at 10 000 at 70 000.
    expect([await at(59_999), await at(60_000), await at(60_001), await at(70_000)]).toEqual([
      false,
      true,
      false,
      true,
    ]);
  });

  it('tells when the update so many back was, within a group of calls and beyond', async () => {
    const { log } = await openUntilTestEnds(await locate());
    const update = (n: number) =>
      log.decide([{ key: 'k', lag: 3 }], ([found]) => ({
        decision: decision(`u${n}`),
        writes: [{ ...state('k', n), time: NOW + n, keepsTime: true }],
        result: found?.pastTime,
      }));
    await Promise.all([1, 2].map(update));
    const inOneGroup = await Promise.all([3, 4, 5, 6, 7].map(update));

    expect(inOneGroup).toEqual([undefined, NOW + 1, NOW + 2, NOW + 3, NOW + 4]);
    expect(await peek(log, 'p1', 'k', 1)).toEqual({ value: 7, time: NOW + 7, pastTime: NOW + 7 });
    expect(await peek(log, 'p2', 'k', 7)).toEqual({ value: 7, time: NOW + 7, pastTime: NOW + 1 });
    expect(await peek(log, 'p3', 'k', 8)).toEqual({ value: 7, time: NOW + 7 });
    expect(await peek(log, 'p4', 'k')).toEqual({ value: 7, time: NOW + 7 });
  });

  it('knows no past time of an update whose time was not kept', async () => {
    const { log } = await openUntilTestEnds(await locate());
    for (const keepsTime of [true, false]) {
      await log.decide([{ key: 'k' }], () => ({
        decision: decision(`kept ${keepsTime}`),
        writes: [{ ...state('k', 1), keepsTime }],
        result: undefined,
      }));
    }

    expect(await peek(log, 'p1', 'k', 1)).toEqual({ value: 1, time: NOW });
    expect(await peek(log, 'p2', 'k', 2)).toEqual({ value: 1, time: NOW, pastTime: NOW });
  });

  it('reads several keys, one of them twice, in the order they were asked for', async () => {
    const { log } = await openUntilTestEnds(await locate());
    await log.decide([{ key: 'x' }, { key: 'y' }], () => ({
      decision: decision('d1'),
      writes: [state('x', 1), { ...state('y', 2), keepsTime: true }],
      result: undefined,
    }));

    const reads = [{ key: 'y' }, { key: 'none', lag: 1 }, { key: 'x' }, { key: 'y', lag: 1 }];
    const values = await log.decide(reads, (states) => ({ decision: decision('d2'), writes: [], result: states }));
    expect(values).toEqual([
      { value: 2, time: NOW },
      undefined,
      { value: 1, time: NOW },
      { value: 2, time: NOW, pastTime: NOW },
    ]);
  });

  it('rejects only the call whose step throws, and keeps nothing of it', async () => {
    const { log } = await openUntilTestEnds(await locate());
    const failing = log.decide([{ key: 'n' }], () => {
      throw new Error('on purpose');
    });
    const settled = await Promise.allSettled([add(log, 'd1', ['n']), failing, add(log, 'd2', ['n'])]);

    expect(settled).toEqual([
      { status: 'fulfilled', value: [undefined] },
      { status: 'rejected', reason: new Error('on purpose') },
      { status: 'fulfilled', value: [1] },
    ]);
    expect((await listIds(log)).sort()).toEqual(['d1', 'd2']);
    await expect(
      log.decide([], () => {
        throw new Error('alone');
      }),
    ).rejects.toThrow('alone');
  });

  it.each([
    ['of a key that was not read', [state('b', 1)], "The state 'b' was written without being read before."],
    ['of a key twice', [state('a', 1), state('a', 2)], "The state 'a' was written without being read before."],
    ['of no number', [state('a', Number.NaN)], `The state 'a' can not be stored: NaN at ${NOW} until ${LATER}.`],
    [
      'that never expires',
      [{ ...state('a', 1), expireTime: Number.POSITIVE_INFINITY }],
      `The state 'a' can not be stored: 1 at ${NOW} until Infinity.`,
    ],
  ])('refuses a write %s, without harm to other calls', async (_, writes, message) => {
    const { log } = await openUntilTestEnds(await locate());
    const wrong = log.decide([{ key: 'a' }], () => ({ decision: decision('wrong'), writes, result: undefined }));
    const [refused, other] = await Promise.allSettled([wrong, add(log, 'd1', ['a'])]);

    expect(refused).toEqual({ status: 'rejected', reason: new Error(message) });
    expect(other).toEqual({ status: 'fulfilled', value: [undefined] });
    expect(await listIds(log)).toEqual(['d1']);
  });

  it('builds nothing on what could not be committed', async () => {
    const { log } = await openUntilTestEnds(await locate());
    await add(log, 'd1', ['open'], 5);
    // Refused by the database, because there is a decision d1: one file less would be open.
    const failing = add(log, 'd1', ['open'], -1);
    const behind = ['d2', 'd3'].map((id) => add(log, id, ['open']));

    await expect(failing).rejects.toThrow(/unique/i);
    expect(await Promise.all(behind)).toEqual([[5], [6]]);
    expect((await peek(log, 'd4', 'open'))?.value).toBe(7);
  });

  it('reads expired state as none, and begins again', async () => {
    const { log } = await openUntilTestEnds(await locate());
    const past = Date.now() - 1;
    const write = (id: string, value: number, expireTime: number) =>
      log.decide([{ key: 'k', lag: 2 }], ([found]) => ({
        decision: decision(id),
        writes: [{ ...state('k', value), time: NOW + value, keepsTime: true, expireTime }],
        result: found,
      }));
    await write('d1', 1, past);

    expect(await write('d2', 2, LATER)).toBeUndefined();
    expect(await peek(log, 'd3', 'k', 1)).toEqual({ value: 2, time: NOW + 2, pastTime: NOW + 2 });
  });

  it('keeps apart keys that a database can not store as they are', async () => {
    const { log } = await openUntilTestEnds(await locate());
    const odd = ['s/\0', 's/\uFFFD', 's/\ud83d', `s/${'x'.repeat(100_000)}`, `s/${'x'.repeat(100_001)}`, "s/'; --🏰"];
    for (const [index, key] of odd.entries()) await add(log, `d${index}`, [key], index + 1);

    const found = await Promise.all(odd.map((key, index) => peek(log, `p${index}`, key)));
    expect(found.map((value) => value?.value)).toEqual([1, 2, 3, 4, 5, 6]);
  });

  it('never loses an update of calls whose keys overlap in any order', async () => {
    const { log } = await openUntilTestEnds(await locate());
    const sets = [
      ['a', 'b', 'c'],
      ['c', 'b', 'a'],
      ['b', 'd'],
      ['d', 'a'],
    ];
    await Promise.all(Array.from({ length: 200 }, (_, n) => add(log, `d${n}`, sets[n % 4] ?? [])));

    const found = await Promise.all(['a', 'b', 'c', 'd'].map((key) => peek(log, `p-${key}`, key)));
    expect(found.map((value) => value?.value)).toEqual([150, 150, 100, 100]);
  });

  it('decides more calls at once than a group takes', async () => {
    const { log } = await openUntilTestEnds(await locate());
    const calls = Array.from({ length: 2_500 }, (_, n) => add(log, `d${n}`, [`own-${n}`, 'all']));
    const found = (await Promise.all(calls)).map(([, all]) => all ?? 0);

    expect(found).toEqual(Array.from({ length: 2_500 }, (_, n) => n));
  });

  it('takes a call with more keys than a group has otherwise', async () => {
    const { log } = await openUntilTestEnds(await locate());
    const keys = Array.from({ length: 1_000 }, (_, n) => `k${n}`);
    await Promise.all([add(log, 'd1', keys), add(log, 'd2', ['k7'])]);

    expect(await add(log, 'd3', keys)).toEqual(keys.map((key) => (key === 'k7' ? 2 : 1)));
  });

  it('goes on beside appends and while a transaction of configuration is open', async () => {
    const store = await openUntilTestEnds(await locate());
    const { log } = store;
    await add(log, 'd0', ['n']);
    const opened = Promise.withResolvers<void>();
    const release = Promise.withResolvers<void>();
    const rolledBack = withChange(store, 'project', PROJECT, async (trx) => {
      await insertProject(trx, project());
      opened.resolve();
      await release.promise;
      throw new Error('on purpose');
    });
    rolledBack.catch(() => {});
    await opened.promise;
    const decided = [add(log, 'd1', ['n']), add(log, 'd2', ['n'])];
    const appended = log.append({ decisions: [decision('plain')], outcomes: [] });
    setImmediate(release.resolve);

    expect(await Promise.all(decided)).toEqual([[1], [2]]);
    await appended;
    await expect(rolledBack).rejects.toThrow('on purpose');
    expect((await listIds(log)).sort()).toEqual(['d0', 'd1', 'd2', 'plain']);
  });

  it('rings for what it commits', async () => {
    const store = await openUntilTestEnds(await locate());
    const rung = vi.fn<() => void>();
    store.onDecision(rung);
    await add(store.log, 'd1', ['n']);

    await vi.waitFor(() => expect(rung).toHaveBeenCalled(), SOON);
  });

  it('calls a step once', async () => {
    const { log } = await openUntilTestEnds(await locate());
    const step = vi.fn<() => DecideStep<string>>(() => ({ decision: decision('d1'), writes: [], result: 'done' }));

    expect(await log.decide([{ key: 'k' }], step)).toBe('done');
    expect(step).toHaveBeenCalledTimes(1);
  });
});
