import { afterEach, describe, expect, test } from 'vitest';
import { createCompositions } from '../../src/catalogue/compositions.ts';
import type { OfferSettings } from '../../src/catalogue/offer-settings.ts';
import { createSeating } from '../../src/catalogue/seats.ts';
import type { Gateway, GatewayUpstream } from '../../src/domain/gateway.ts';
import type { GatewayId } from '../../src/domain/ids.ts';
import type { Upstream } from '../../src/domain/upstream.ts';
import { createMemoryConfig, PROJECT } from '../mcp/memory-config.ts';
import type { Script } from './scripted-upstream.ts';
import { type SteeredUpstream, steeredUpstream } from './steered-upstream.ts';
import { names, offersOf, until, viewerOf } from './support.ts';

const cleanUps: (() => Promise<void> | void)[] = [];

afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).toReversed()) {
    await cleanUp();
  }
});

const ann = viewerOf('ann');

function entry(slug: string, changes: Partial<GatewayUpstream> = {}): GatewayUpstream {
  return { slug, version: 'v1', tools: {}, ...changes };
}

function gatewayOf(...upstreams: readonly GatewayUpstream[]): Gateway {
  return {
    id: 'gateway-1' as GatewayId,
    projectId: PROJECT.id,
    slug: 'office',
    version: 'v1',
    displayName: '',
    description: '',
    commonOverrides: {},
    upstreams,
    discoveryMode: 'list',
    revision: 1,
    createTime: 0,
    updateTime: 0,
  };
}

async function steered(slug: string, script: Partial<Script> = {}, settings: Partial<Upstream> = {}) {
  const made = await steeredUpstream(script, { id: `id-of-${slug}` as Upstream['id'], slug, ...settings });
  cleanUps.push(made.stop);
  return made;
}

function worldOf(upstreams: readonly SteeredUpstream[], gateway: Gateway, offerSettings: Partial<OfferSettings> = {}) {
  const settings = createMemoryConfig({
    upstreams: upstreams.map(({ upstream }) => upstream),
    gateways: [gateway],
    policies: [],
  });
  const world = offersOf(offerSettings);
  const seating = createSeating(settings.config);
  const compositions = createCompositions({ offers: world.offers, seating, now: () => world.clock.now });
  const stopFollowing = settings.config.onUpstreamChange((_upstream, id) => {
    world.channels.forget(id);
    world.offers.forget(id);
  });
  cleanUps.push(world.close, seating.close, compositions.close, stopFollowing);
  return { ...world, compositions, settings };
}

describe('a composition', () => {
  test('has what all members offer, in their order', async () => {
    const [shop, bank] = [await steered('shop'), await steered('bank', { tools: [{ name: 'pay' }] })];
    const gateway = gatewayOf(entry('bank'), entry('shop', { timeoutMs: 700 }));
    const { compositions } = worldOf([shop, bank], gateway);
    const { members, tools, problems } = await compositions.of(gateway, ann);
    expect(names(tools.map(({ definition }) => definition))).toEqual(['bank_pay', 'shop_one', 'shop_two']);
    expect(members.map(({ upstream, timeoutMs, prefix }) => [upstream.slug, timeoutMs, prefix])).toEqual([
      ['bank', 5000, 'bank_'],
      ['shop', 700, 'shop_'],
    ]);
    expect(members[1]?.upstream).toBe(shop.upstream);
    expect(problems).toEqual([]);
  });

  test('of an upstream alone changes no names, and takes every name for its own', async () => {
    const shop = await steered('shop');
    const { compositions } = worldOf([shop], gatewayOf());
    const composition = await compositions.of(shop.upstream, ann);
    expect(composition.tools.map(({ name }) => name)).toEqual(['one', 'two']);
    expect(composition.findTool('three')).toMatchObject({ tool: 'three', member: { upstream: shop.upstream } });
  });

  test('tells which upstreams are missing, and which fail', async () => {
    const shop = await steered('shop');
    const bank = await steered('bank', {}, { enabled: false });
    const post = await steered('post', { errors: { initialize: { code: -32603, message: 'closed' } } });
    const gateway = gatewayOf(entry('gone'), entry('bank'), entry('shop'), entry('post'));
    const { compositions } = worldOf([shop, bank, post], gateway);
    const { tools, problems } = await compositions.of(gateway, ann);
    expect(tools.map(({ name }) => name)).toEqual(['shop_one', 'shop_two']);
    expect(problems).toEqual([
      { upstream: 'gone', name: undefined, message: `The upstream 'gone' does not exist.` },
      { upstream: 'bank', name: undefined, message: `The upstream 'bank' is disabled.` },
      { upstream: 'post', name: undefined, message: 'The upstream "post" refused the initialization: closed' },
    ]);
  });

  test('is the same object until something of it changes', async () => {
    const shop = await steered('shop');
    const gateway = gatewayOf(entry('shop'));
    const { compositions, changes } = worldOf([shop], gateway);
    const first = await compositions.of(gateway, ann);
    expect(await compositions.of(gateway, ann)).toBe(first);
    await shop.set({ tools: [{ name: 'three' }] });
    await shop.changed('tools');
    await until(() => changes.length === 1);
    const second = await compositions.of(gateway, ann);
    expect(second.tools.map(({ name }) => name)).toEqual(['three']);
    expect(first.tools.map(({ name }) => name)).toEqual(['one', 'two']);
  });

  test('is one object for all who are offered the same', async () => {
    const shop = await steered('shop');
    const gateway = gatewayOf(entry('shop'));
    const { compositions } = worldOf([shop], gateway);
    const first = await compositions.of(gateway, ann);
    expect(await compositions.of(gateway, viewerOf('bob'))).toBe(first);
    expect(await compositions.of(gateway, viewerOf('cyd', 'modern', { sampling: {} }))).toBe(first);
  });

  test('follows the configuration of its upstreams', async () => {
    const shop = await steered('shop');
    const gateway = gatewayOf(entry('shop'));
    const { compositions, settings } = worldOf([shop], gateway);
    const first = await compositions.of(gateway, ann);
    settings.putUpstream({ ...shop.upstream, enabled: false });
    expect(await compositions.of(gateway, ann)).toMatchObject({
      tools: [],
      problems: [{ upstream: 'shop', message: `The upstream 'shop' is disabled.` }],
    });
    settings.putUpstream(shop.upstream);
    const again = await compositions.of(gateway, ann);
    expect(again).not.toBe(first);
    expect(again.members[0]?.upstream.revision).toBe(3);
    expect(again.tools.map(({ name }) => name)).toEqual(['one', 'two']);
  });

  test('does not wait for a member that hangs once it is known to', async () => {
    const shop = await steered('shop');
    const bank = await steered('bank', { silent: ['initialize'] });
    const gateway = gatewayOf(entry('shop'), entry('bank', { timeoutMs: 300 }));
    const { compositions } = worldOf([shop, bank], gateway);
    const first = await compositions.of(gateway, ann);
    expect(first.tools.map(({ name }) => name)).toEqual(['shop_one', 'shop_two']);
    let isServed = false;
    void compositions.of(gateway, ann).then(() => {
      isServed = true;
    });
    await new Promise((resolve) => setImmediate(resolve));
    expect(isServed).toBe(true);
  });
});

describe('a peek', () => {
  test('knows nothing before somebody asked', async () => {
    const shop = await steered('shop');
    const gateway = gatewayOf(entry('shop'));
    const { compositions } = worldOf([shop], gateway);
    expect(compositions.peek(gateway, ann)).toBeUndefined();
    expect(shop.running()).toBe(0);
  });

  test('finds what was offered, also when that is known to have changed', async () => {
    const shop = await steered('shop');
    const gateway = gatewayOf(entry('shop'));
    const { compositions, changes } = worldOf([shop], gateway);
    const first = await compositions.of(gateway, ann);
    expect(compositions.peek(gateway, ann)).toBe(first);
    await shop.changed('tools');
    await until(() => changes.length === 1);
    expect(compositions.peek(gateway, ann)).toBe(first);
    expect(shop.counted('tools/list')).toBe(1);
  });

  test('tells by its prefix where a name belongs of which nothing is known yet', async () => {
    const [shop, bank] = [await steered('shop'), await steered('bank', { silent: ['initialize'] })];
    const gateway = gatewayOf(entry('shop'), entry('bank'));
    const { compositions, offers } = worldOf([shop, bank], gateway);
    await offers.offerOf(shop.upstream, ann);
    const composition = compositions.peek(gateway, ann);
    expect(composition?.findTool('shop_one')).toMatchObject({ tool: 'one', member: { upstream: shop.upstream } });
    expect(composition?.findTool('bank_pay')).toMatchObject({ tool: 'pay', member: { upstream: bank.upstream } });
    expect(composition?.findTool('post_send')).toBeUndefined();
  });

  test('leads to the upstreams as they are configured now', async () => {
    const [shop, bank] = [await steered('shop'), await steered('bank')];
    const gateway = gatewayOf(entry('shop'), entry('bank'));
    const { compositions, settings } = worldOf([shop, bank], gateway);
    await compositions.of(gateway, ann);
    settings.putUpstream({ ...shop.upstream, decisionCommit: 'before_answer' });
    expect(compositions.peek(gateway, ann)?.findTool('shop_one')?.member.upstream).toMatchObject({
      revision: 2,
      decisionCommit: 'before_answer',
    });
    settings.deleteUpstream(shop.upstream.id);
    expect(compositions.peek(gateway, ann)?.findTool('shop_one')).toBeUndefined();
    expect(compositions.peek(gateway, ann)?.findTool('bank_one')).toBeDefined();
  });

  test('counts as use: what is called is listened to, though nobody lists it', async () => {
    const shop = await steered('shop');
    const gateway = gatewayOf(entry('shop'));
    const { compositions, changes, clock } = worldOf([shop], gateway, { sweepMs: 5 });
    await compositions.of(gateway, ann);
    for (let minute = 0; minute < 7; minute++) {
      clock.now += 61_000;
      compositions.peek(gateway, ann);
      // Long enough for it to be looked for what is not in use.
      await new Promise((resolve) => setTimeout(resolve, 30));
    }
    await shop.changed('tools');
    await until(() => changes.length === 1);
    expect(changes).toMatchObject([{ upstreamId: shop.upstream.id, lists: ['tools'] }]);
  });
});

describe('memory', () => {
  test('is given up by those who asked least recently', async () => {
    const shop = await steered('shop');
    const gateway = gatewayOf(entry('shop'));
    const { offers, clock, settings } = worldOf([shop], gateway);
    const seating = createSeating(settings.config);
    const limits = { views: 2 };
    const compositions = createCompositions({ offers, seating, limits, now: () => clock.now });
    for (const id of ['ann', 'bob', 'cyd']) {
      clock.now += 1;
      await compositions.of(gateway, viewerOf(id));
    }
    // Found again from what is known of the upstream, so it is asked of one that is not.
    offers.forget(shop.upstream.id);
    expect(['ann', 'bob', 'cyd'].map((id) => compositions.peek(gateway, viewerOf(id)) !== undefined)).toEqual([
      false,
      false,
      true,
    ]);
    compositions.close();
    seating.close();
  });
});
