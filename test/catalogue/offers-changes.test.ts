import { afterEach, describe, expect, test } from 'vitest';
import type { OfferSettings } from '../../src/catalogue/offer-settings.ts';
import type { Upstream } from '../../src/domain/upstream.ts';
import type { Script } from './scripted-upstream.ts';
import { steeredUpstream } from './steered-upstream.ts';
import { names, offersOf, until, viewerOf } from './support.ts';

const cleanUps: (() => Promise<void> | void)[] = [];

afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).toReversed()) {
    await cleanUp();
  }
});

async function setUp(script: Partial<Script> = {}, settings: Partial<OfferSettings> = {}) {
  const steered = await steeredUpstream(script);
  const world = offersOf(settings);
  cleanUps.push(steered.stop, world.close);
  return { ...world, steered, upstream: steered.upstream };
}

const ann = viewerOf('ann');

describe.each(['legacy', 'modern'] as const)('a %s upstream', (era) => {
  test('that says its tools changed has them read before they are served again', async () => {
    const { offers, upstream, steered, changes } = await setUp({ era });
    expect(names((await offers.offerOf(upstream, ann)).tools)).toEqual(['one', 'two']);
    await steered.set({ tools: [{ name: 'three' }] });
    await steered.changed('tools');
    await until(() => changes.length === 1);
    expect(changes).toEqual([{ upstreamId: upstream.id, lists: ['tools'], principalId: 'ann' }]);
    expect(names((await offers.offerOf(upstream, ann)).tools)).toEqual(['three']);
    expect(changes).toHaveLength(1);
  });

  test('is asked only for the list that changed', async () => {
    const capabilities = { tools: { listChanged: true }, prompts: { listChanged: true } };
    const { offers, upstream, steered, clock, changes } = await setUp({ era, capabilities, prompts: [{ name: 'a' }] });
    await offers.offerOf(upstream, ann);
    await steered.set({});
    clock.now += 300_001;
    await offers.offerOf(upstream, ann);
    await until(() => steered.counted('prompts/list') === 2);
    await steered.set({ prompts: [{ name: 'b' }] });
    await steered.changed('prompts');
    await until(() => changes.length === 1);
    expect(names((await offers.offerOf(upstream, ann)).prompts)).toEqual(['b']);
    expect(await steered.count('prompts/list')).toBe(3);
    expect(await steered.count('tools/list')).toBe(2);
  });

  test('whose changes are heard is believed for five minutes', async () => {
    const { offers, upstream, steered, clock } = await setUp({ era });
    await offers.offerOf(upstream, ann);
    await steered.set({});
    clock.now += 299_000;
    await offers.offerOf(upstream, ann);
    expect(await steered.count('tools/list')).toBe(1);
    clock.now += 2_000;
    await offers.offerOf(upstream, ann);
    await until(() => steered.counted('tools/list') === 2);
  });

  test('that floods the gateway with changes is read a few times, and each report is told once a second', async () => {
    const { offers, upstream, steered, changes } = await setUp({ era });
    await offers.offerOf(upstream, ann);
    await steered.changed('tools', 1000);
    await until(() => changes.length === 1);
    const began = performance.now();
    for (let round = 0; round < 15; round++) {
      await steered.changed('tools', 20);
      await offers.offerOf(upstream, ann);
    }
    const rounds = Math.ceil((performance.now() - began) / 100);
    expect(await steered.count('tools/list')).toBeLessThanOrEqual(2 + rounds);
    expect(changes.length).toBeLessThanOrEqual(2 + Math.ceil((performance.now() - began) / 1000));
  });

  test('that restarts is read again without being asked for, and who has seen its list hears that it is another', async () => {
    const { offers, upstream, steered, changes } = await setUp({ era });
    await offers.offerOf(upstream, ann);
    const { pid } = steered.got[0] ?? {};
    await steered.set({ tools: [{ name: 'three' }] });
    steered.crash();
    await until(() => changes.length === 1);
    expect(changes).toEqual([{ upstreamId: upstream.id, lists: ['tools'], principalId: 'ann' }]);
    expect(names((await offers.offerOf(upstream, ann)).tools)).toEqual(['three']);
    expect(steered.got.at(-1)?.pid).not.toBe(pid);
  });

  test('that restarts with the same tools changes nothing', async () => {
    const { offers, upstream, steered, changes } = await setUp({ era });
    const before = await offers.offerOf(upstream, ann);
    steered.crash();
    await until(() => steered.counted('tools/list') === 2);
    await until(() => offers.ready(upstream, ann) !== undefined);
    expect(await offers.offerOf(upstream, ann)).toBe(before);
    expect(changes).toEqual([]);
  });

  test('is not listened to when nobody used its offer for five minutes, so that its connection can end', async () => {
    const { offers, clock, steered } = await setUp({ era }, { usedMs: 500, sweepMs: 20 });
    const { transport, ...rest } = steered.upstream;
    const upstream = { ...rest, transport: { ...transport, idleTimeoutMs: 50 } as Upstream['transport'] };
    await offers.offerOf(upstream, ann);
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(steered.running()).toBe(1);
    clock.now += 501;
    await until(() => steered.running() === 0);
    await steered.set({ tools: [{ name: 'three' }] });
    clock.now += 60_001;
    expect(names((await offers.offerOf(upstream, ann)).tools)).toEqual(['one', 'two']);
    await until(() => offers.peek(upstream, ann)?.tools.length === 1);
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(steered.running()).toBe(1);
  });
});

describe('an upstream that does not tell of changes', () => {
  test.each([
    ['for a minute', { capabilities: { tools: {} } }, 59_000],
    ['as long as it says itself', { era: 'modern' as const, capabilities: { tools: {} }, ttlMs: 20_000 }, 19_000],
    ['for five minutes at most', { era: 'modern' as const, capabilities: { tools: {} }, ttlMs: 9_999_999 }, 299_000],
    ['for a second at least', { era: 'modern' as const, capabilities: { tools: {} }, ttlMs: 0 }, 900],
  ])('is believed %s, then served as it was and read behind', async (_how, script, goodMs) => {
    const { offers, upstream, steered, clock, changes } = await setUp(script);
    await offers.offerOf(upstream, ann);
    await steered.set({ tools: [{ name: 'three' }] });
    clock.now += goodMs;
    await offers.offerOf(upstream, ann);
    expect(await steered.count('tools/list')).toBe(1);
    clock.now += 1_100;
    expect(names((await offers.offerOf(upstream, ann)).tools)).toEqual(['one', 'two']);
    await until(() => changes.length === 1);
    expect(changes).toEqual([{ upstreamId: upstream.id, lists: ['tools'], principalId: 'ann' }]);
    expect(names((await offers.offerOf(upstream, ann)).tools)).toEqual(['three']);
  });

  test('of its prompts is not believed for longer because it tells of its tools', async () => {
    const capabilities = { tools: { listChanged: true }, prompts: {} };
    const { offers, upstream, steered, clock } = await setUp({ capabilities });
    await offers.offerOf(upstream, ann);
    await steered.set({ prompts: [{ name: 'new' }] });
    clock.now += 61_000;
    await offers.offerOf(upstream, ann);
    await until(() => steered.counted('prompts/list') === 2);
    expect(names((await offers.offerOf(upstream, ann)).tools)).toEqual(['one', 'two']);
  });
});

describe('a subscription', () => {
  test('asks for the lists of which the upstream tells', async () => {
    const capabilities = { tools: { listChanged: true }, prompts: {}, resources: { listChanged: true } };
    const { offers, upstream, steered } = await setUp({ era: 'modern', capabilities });
    await offers.offerOf(upstream, ann);
    await until(() => steered.counted('subscriptions/listen') === 1);
    const listen = steered.got.find(({ message }) => message.method === 'subscriptions/listen');
    expect(listen?.message['params']).toMatchObject({
      notifications: { toolsListChanged: true, resourcesListChanged: true },
    });
    expect(listen?.message['params']).not.toHaveProperty('notifications.promptsListChanged');
  });

  test('that is agreed to in part leaves the lists as good as the upstream says', async () => {
    const { offers, upstream, steered, clock } = await setUp({ era: 'modern', agrees: [], ttlMs: 30_000 });
    await offers.offerOf(upstream, ann);
    await steered.set({});
    clock.now += 31_000;
    await offers.offerOf(upstream, ann);
    await until(() => steered.counted('tools/list') === 2);
    expect(await steered.count('subscriptions/listen')).toBe(1);
  });

  test('that the upstream ends is made again, and what was missed is read', async () => {
    const { offers, upstream, steered, changes } = await setUp({ era: 'modern' });
    await offers.offerOf(upstream, ann);
    await until(() => steered.counted('subscriptions/listen') === 1);
    await steered.set({ tools: [{ name: 'three' }] });
    await steered.endListens();
    await until(() => steered.counted('subscriptions/listen') === 2);
    await until(() => changes.length === 1);
    await steered.set({ tools: [{ name: 'four' }] });
    await steered.changed('tools');
    await until(() => changes.length === 2);
    expect(names((await offers.offerOf(upstream, ann)).tools)).toEqual(['four']);
  });

  test('gives its process up to others who need one, and takes none from them', async () => {
    const { offers, upstream, steered, clock } = await setUp({ era: 'modern' }, { retryMs: 1, longestRetryMs: 2 });
    const stdio = upstream.transport as Extract<Upstream['transport'], { kind: 'stdio' }>;
    const single = { ...upstream, transport: { ...stdio, maxProcesses: 1 } };
    await offers.offerOf(single, ann);
    await until(() => steered.counted('subscriptions/listen') === 1);
    const bobs = await offers.offerOf(single, viewerOf('bob'));
    expect([bobs.problem, names(bobs.tools)]).toEqual([undefined, ['one', 'two']]);
    await until(() => steered.counted('subscriptions/listen') === 2 && steered.running() === 1);
    // Nobody has heard for her since, so what she was offered is good for a minute.
    clock.now += 61_000;
    await offers.offerOf(single, ann);
    await until(() => steered.counted('tools/list') === 3);
    expect(steered.counted('server/discover')).toBe(3);
  });

  test('is not asked for again and again where the upstream knows none', async () => {
    const errors = { 'subscriptions/listen': { code: -32601, message: 'no' } };
    const { offers, upstream, steered, clock } = await setUp({ era: 'modern', errors });
    await offers.offerOf(upstream, ann);
    for (let round = 0; round < 3; round++) {
      await steered.set({});
      clock.now += 61_000;
      await offers.offerOf(upstream, ann);
      await until(() => steered.counted('tools/list') === round + 2);
    }
    expect(await steered.count('subscriptions/listen')).toBe(1);
  });
});

test('the changes that one principal is told of are not told to another', async () => {
  const { offers, upstream, steered, changes } = await setUp();
  await offers.offerOf(upstream, ann);
  await offers.offerOf(upstream, viewerOf('bob'));
  await steered.changed('tools');
  await until(() => changes.length === 2);
  expect(changes.map(({ principalId }) => principalId).sort()).toEqual(['ann', 'bob']);
});

test('a listener that fails keeps no other from hearing', async () => {
  const { offers, upstream, steered, errors } = await setUp();
  offers.onChange(() => {
    throw new Error('deaf');
  });
  const heard: unknown[] = [];
  const stop = offers.onChange((change) => heard.push(change));
  await offers.offerOf(upstream, ann);
  await steered.changed('tools');
  await until(() => heard.length === 1);
  expect(errors).toEqual([new Error('deaf')]);
  stop();
  offers.forget(upstream.id);
  expect(heard).toHaveLength(1);
});
