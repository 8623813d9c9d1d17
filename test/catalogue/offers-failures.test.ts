import { afterEach, describe, expect, test } from 'vitest';
import type { OfferSettings } from '../../src/catalogue/offer-settings.ts';
import type { Upstream } from '../../src/domain/upstream.ts';
import { fakeUpstream } from '../upstream/stdio.ts';
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
const bob = viewerOf('bob');

const notYet = { reason: 'timeout', message: 'The upstream "demo" has not said yet what it offers.' };

describe('an upstream that hangs', () => {
  test('is waited for once, and not again', async () => {
    const { offers, upstream } = await setUp({ silent: ['tools/list'] }, { firstWaitMs: 200 });
    const offer = await offers.offerOf(upstream, ann);
    expect(offer).toMatchObject({ tools: [], problem: notYet });
    expect(offers.ready(upstream, ann)).toBe(offer);
  });

  test('is not waited for longer than the caller has patience', async () => {
    const { offers, upstream } = await setUp({ silent: ['initialize'] });
    expect(await offers.offerOf(upstream, ann, 100)).toMatchObject({ capabilities: {}, problem: notYet });
  });

  test('is hardly waited for by somebody else', async () => {
    const { offers, upstream } = await setUp({ silent: ['tools/list'] });
    await offers.offerOf(upstream, ann, 200);
    const late = new Promise((resolve) => setTimeout(resolve, 3_000, 'late'));
    expect(await Promise.race([offers.offerOf(upstream, bob), late])).toMatchObject({ tools: [], problem: notYet });
  });

  test('and then answers is hoped for again', async () => {
    const { offers, upstream, steered, changes } = await setUp(
      { silent: ['tools/list'] },
      { fetchMs: 500, retryMs: 20 },
    );
    await offers.offerOf(upstream, ann, 200);
    await steered.set({ silent: [] });
    await until(() => changes.length === 1);
    expect(names((await offers.offerOf(upstream, bob)).tools)).toEqual(['one', 'two']);
  });

  test('when a list changed is served as it was, with the problem', async () => {
    const { offers, upstream, steered, changes } = await setUp({}, { changedWaitMs: 200 });
    await offers.offerOf(upstream, ann);
    await steered.set({ silent: ['tools/list'], tools: [{ name: 'three' }] });
    await steered.changed('tools');
    await until(() => changes.length === 1);
    const offer = await offers.offerOf(upstream, ann);
    expect(offer.problem).toEqual(notYet);
    expect(names(offer.tools)).toEqual(['one', 'two']);
    expect(offers.ready(upstream, ann)).toBe(offer);
  });

  test('does not keep what others offer from being told at once', async () => {
    const { offers, upstream } = await setUp({ silent: ['initialize'] }, { firstWaitMs: 3_000 });
    const other = await steeredUpstream({}, { id: 'upstream-2' as Upstream['id'] });
    cleanUps.push(other.stop);
    let isWaiting = true;
    const hanging = offers.offerOf(upstream, ann).finally(() => {
      isWaiting = false;
    });
    expect(names((await offers.offerOf(other.upstream, ann)).tools)).toEqual(['one', 'two']);
    expect(isWaiting).toBe(true);
    expect(await hanging).toMatchObject({ problem: notYet });
  });

  test('and answers late is told as a change', async () => {
    const world = await setUp({ silent: ['tools/list'] }, { firstWaitMs: 100, fetchMs: 300, retryMs: 20 });
    const { offers, upstream, steered, changes } = world;
    await offers.offerOf(upstream, ann);
    await steered.set({ silent: [] });
    await until(() => changes.length === 1);
    expect(changes).toEqual([{ upstreamId: upstream.id, lists: ['tools'], principalId: 'ann' }]);
    expect(await offers.offerOf(upstream, ann)).toMatchObject({
      tools: [{ name: 'one' }, { name: 'two' }],
      problem: undefined,
    });
  });
});

describe('an upstream that cannot be started', () => {
  test('is a problem and no error, and is not waited for again', async () => {
    const { offers, health, clock } = offersWorld();
    const upstream = fakeUpstream({ command: 'no-such-command' }, { era: 'legacy' });
    const offer = await offers.offerOf(upstream, ann);
    expect(offer).toMatchObject({ upstream, tools: [], problem: { reason: 'unreachable' } });
    expect(offer.problem?.message).toMatch(/upstream "demo" could not be started/);
    clock.now += 1_000_000;
    expect(offers.ready(upstream, ann)).toBe(offer);
    expect(health.isHealthy(upstream.id)).toBe(false);
  });

  test('tells no secret', async () => {
    const { offers } = offersWorld();
    const upstream = fakeUpstream(
      { args: ['--refuse'] },
      { era: 'legacy', secrets: { env: { TOKEN: 's3cret-value' } } },
    );
    const offer = await offers.offerOf(upstream, ann);
    expect(offer.problem?.reason).toBe('unreachable');
    expect(JSON.stringify(offer.problem)).not.toContain('s3cret-value');
  });

  test('whose era is not known is a problem too', async () => {
    const { offers } = offersWorld();
    const upstream = fakeUpstream({ command: 'no-such-command' });
    expect(await offers.offerOf(upstream, viewerOf('ann', 'modern'))).toMatchObject({
      problem: { reason: 'unreachable' },
    });
  });
});

describe('an upstream that failed', () => {
  test('is asked again with growing pauses while it is used, and is told as a change when it is back', async () => {
    const errors = { initialize: { code: -32603, message: 'not ready' } };
    const { offers, upstream, steered, changes, health } = await setUp({ errors });
    expect(await offers.offerOf(upstream, ann)).toMatchObject({
      problem: { reason: 'unreachable', message: expect.stringContaining('not ready') },
    });
    await until(() => steered.counted('initialize') >= 3);
    expect(health.isHealthy(upstream.id)).toBe(false);
    expect(changes).toEqual([]);
    await steered.set({ errors: {} });
    await until(() => changes.length === 1);
    expect(changes).toEqual([{ upstreamId: upstream.id, lists: ['tools'], principalId: 'ann' }]);
    expect(offers.ready(upstream, ann)).toMatchObject({
      tools: [{ name: 'one' }, { name: 'two' }],
      problem: undefined,
    });
    expect(health.isHealthy(upstream.id)).toBe(true);
  });

  test('after it was read is served as it was, with the problem', async () => {
    const { offers, upstream, steered, clock } = await setUp({ capabilities: { tools: {} } });
    const before = await offers.offerOf(upstream, ann);
    await steered.set({ errors: { initialize: { code: -32603, message: 'not ready' } } });
    steered.crash();
    await until(() => steered.running() === 0);
    clock.now += 61_000;
    expect(offers.ready(upstream, ann)).toBe(before);
    await until(() => offers.peek(upstream, ann)?.problem !== undefined);
    const after = await offers.offerOf(upstream, ann);
    expect(after.tools).toBe(before.tools);
    expect(after.problem?.reason).toBe('unreachable');
  });

  test('is left alone when nobody asks any more, and waited for by whoever asks next', async () => {
    const { offers, upstream: slow, steered, clock } = await setUp({ silent: ['tools/list'] });
    const upstream = { ...slow, timeoutMs: 500 };
    expect(await offers.offerOf(upstream, ann, 20_000)).toMatchObject({ problem: { reason: 'timeout' } });
    await until(() => steered.counted('tools/list') >= 3);
    clock.now += 300_001;
    // Longer than the longest pause and a reading together.
    await new Promise((resolve) => setTimeout(resolve, 1_200));
    const count = await steered.count('tools/list');
    await new Promise((resolve) => setTimeout(resolve, 800));
    expect(await steered.count('tools/list')).toBe(count);
    await steered.set({ silent: [] });
    expect(names((await offers.offerOf(upstream, ann)).tools)).toEqual(['one', 'two']);
  });

  test('while one of its lists is read keeps the others', async () => {
    const capabilities = { tools: {}, prompts: {} };
    const script = { capabilities, silent: ['prompts/list'], prompts: [{ name: 'greet' }] };
    const { offers, upstream: slow, steered, changes } = await setUp(script);
    const upstream = { ...slow, timeoutMs: 1_000 };
    expect(await offers.offerOf(upstream, ann, 20_000)).toMatchObject({
      tools: [{ name: 'one' }, { name: 'two' }],
      prompts: [],
      problem: { reason: 'timeout' },
    });
    await steered.set({ silent: [] });
    await until(() => changes.length === 1);
    expect(changes).toEqual([{ upstreamId: upstream.id, lists: ['prompts'], principalId: 'ann' }]);
  });
});

describe('a caller who waits', () => {
  test('has an answer when the upstream is changed or removed meanwhile', async () => {
    const { offers, upstream, steered } = await setUp({ silent: ['tools/list'] });
    const waiting = offers.offerOf(upstream, ann);
    await until(() => steered.counted('tools/list') === 1);
    offers.forget(upstream.id);
    expect((await waiting).problem).toEqual({
      reason: 'unreachable',
      message: 'The upstream "demo" was changed or removed meanwhile.',
    });
  });

  test('has an answer when the gateway stops', async () => {
    const { offers, upstream, steered } = await setUp({ silent: ['tools/list'] });
    const waiting = offers.offerOf(upstream, ann);
    await until(() => steered.counted('tools/list') === 1);
    offers.close();
    expect((await waiting).problem?.reason).toBe('unreachable');
  });
});

function offersWorld() {
  const world = offersOf();
  cleanUps.push(world.close);
  return world;
}
