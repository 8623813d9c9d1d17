import { expect, it } from 'vitest';
import type { DecisionRow } from '../../src/db/log-store.ts';
import { toRow } from '../../src/decisions/decision-row.ts';
import type { CallId, PolicyId } from '../../src/domain/ids.ts';
import type { RuleKind } from '../../src/domain/policy.ts';
import { createSimulation } from '../../src/pipeline/simulation.ts';
import { createStateBudget } from '../../src/pipeline/simulation-state.ts';
import { contentOf, createPolicy } from '../policy/arbitrary-policy.ts';
import { changesOf, collect, createWorld, openStore, START, summaryOf, type World } from './simulation-world.ts';

const rate: RuleKind = { kind: 'rate', maxCalls: 3, windowSeconds: 3_600, per: 'session', violationEffect: 'deny' };
const policy = (says: RuleKind) => ({
  ...createPolicy('draft', contentOf({ id: 'r', message: '', says }, 500)),
  id: 'bounds' as PolicyId,
});

/** A world whose log is so many copies of one decision, each in a session of its own, one every so many milliseconds. */
async function createLongLog(count: number, budget = createStateBudget(), everyMs = 1): Promise<World> {
  const world = await createWorld(await openStore({ kind: 'memory' }), {}, budget);
  const [ruling] = await world.decide({ tool: 'pay', arguments: { amount: 5 } });
  if (ruling === undefined) throw new Error('no decision');
  const copy = (index: number): DecisionRow =>
    toRow({
      ...ruling.decision,
      id: `copy-${index}` as CallId,
      createTime: START + index * everyMs,
      session: `s${index}`,
    });
  const { log } = world.store;
  log.scan = async (_project, { after, limit }) => {
    const first = Number(after?.seq ?? 0);
    const length = Math.min(limit, count - first);
    return Array.from({ length }, (_, index) => ({
      decision: copy(first + index),
      position: { tx: 0n, seq: BigInt(first + index + 1) },
    }));
  };
  return world;
}

/** Measures the CPU time of this thread in each turn of the event loop, in milliseconds, which other processes disturb little. */
function watchTurns(): { stop(): number[] } {
  const held: number[] = [];
  let before = process.threadCpuUsage();
  let next: NodeJS.Immediate;
  const note = () => {
    const { user, system } = process.threadCpuUsage(before);
    before = process.threadCpuUsage();
    held.push((user + system) / 1000);
    next = setImmediate(note);
  };
  next = setImmediate(note);
  return {
    stop() {
      clearImmediate(next);
      return held.toSorted((one, other) => one - other);
    },
  };
}

it('ends early and without a summary when it is aborted', async () => {
  const world = await createLongLog(1_000_000);
  const stop = new AbortController();
  const { config, projectId, store } = world;
  const simulate = createSimulation({ log: store.log, config });
  const request = { projectId, policies: [policy({ kind: 'effect', effect: 'deny' })], matches: () => true };
  let changes = 0;
  for await (const event of simulate({ ...request, signal: stop.signal })) {
    expect(event.kind).toBe('change');
    if (++changes === 1_000) stop.abort();
  }
  expect(changes).toBeLessThan(1_500);
  expect(await collect(simulate({ ...request, signal: AbortSignal.abort() }))).toEqual([]);
});

it('is refused when rules would keep too much state, and then leaves nothing behind', async () => {
  const budget = createStateBudget(1_000_000);
  const world = await createLongLog(10_000, budget);
  await expect(world.simulate([policy(rate)])).rejects.toMatchObject({
    reason: 'failed_precondition',
    message: /Choose a shorter time range, or try again when no other simulation runs\.$/,
  });
  expect(budget.left).toBe(1_000_000);
  expect(summaryOf(await world.simulate([policy(rate)], { endTime: START + 2_000 }))).toMatchObject({
    unchanged: 2_000,
  });
  expect(budget.left).toBe(1_000_000);
});

it('forgets what has expired, however many calls there are', async () => {
  const world = await createLongLog(30_000, createStateBudget(3_000_000), 20);
  const events = await world.simulate([policy({ ...rate, windowSeconds: 1 })]);
  expect(summaryOf(events)).toMatchObject({ decided: 30_000, unchanged: 30_000 });
});

it('keeps no more times of calls than a rule looks back', async () => {
  const world = await createLongLog(30_000, createStateBudget(10_000));
  const events = await world.simulate([policy({ ...rate, maxCalls: 300, per: 'global', windowSeconds: 1 })]);
  // 300 in each second of 1,000 calls.
  expect(summaryOf(events)).toMatchObject({ decided: 30_000, allow: 9_000, deny: 21_000 });
});

it('has the event loop for some milliseconds at a time, however many run at once, and none changes what another finds', async () => {
  const world = await createLongLog(5_000);
  const turns = watchTurns();
  const all = await Promise.all(
    Array.from({ length: 8 }, (_, n) => world.simulate([policy({ ...rate, maxCalls: n + 1, per: 'agent' })])),
  );
  const held = turns.stop();
  expect(all.map((events) => changesOf(events).length)).toEqual(Array.from({ length: 8 }, (_, n) => 5_000 - n - 1));
  expect(held[Math.floor(held.length * 0.99)]).toBeLessThan(20);
});

it('lets others have their turn within some milliseconds', async () => {
  const world = await createLongLog(20_000);
  let turns = 0;
  const timer = setInterval(() => turns++, 1);
  const startedAt = performance.now();
  await Promise.all([1, 2, 3].map(() => world.simulate([policy(rate)])));
  clearInterval(timer);
  expect(turns).toBeGreaterThan((performance.now() - startedAt) / 30);
});
