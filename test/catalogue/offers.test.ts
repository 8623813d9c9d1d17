import { afterEach, describe, expect, test } from 'vitest';
import type { OfferSettings } from '../../src/catalogue/offer-settings.ts';
import type { Script } from './scripted-upstream.ts';
import { type SteeredUpstream, steeredUpstream } from './steered-upstream.ts';
import { names, offersOf, until, viewerOf } from './support.ts';

const cleanUps: (() => Promise<void> | void)[] = [];

afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).toReversed()) {
    await cleanUp();
  }
});

async function setUp(script: Partial<Script> = {}, settings: Partial<OfferSettings> = {}) {
  const world = offersOf(settings);
  const steered = await steered1(script);
  cleanUps.push(world.close);
  return { ...world, steered, upstream: steered.upstream };
}

async function steered1(...args: Parameters<typeof steeredUpstream>): Promise<SteeredUpstream> {
  const steered = await steeredUpstream(...args);
  cleanUps.push(steered.stop);
  return steered;
}

const ann = viewerOf('ann');

describe('an offer', () => {
  test('holds all that a legacy upstream declares', async () => {
    const { offers, upstream } = await setUp({
      capabilities: { tools: {}, prompts: {}, resources: {} },
      prompts: [{ name: 'greet' }],
      resources: [{ uri: 'file:///a' }],
      resourceTemplates: [{ uriTemplate: 'file:///{name}' }],
    });
    expect(await offers.offerOf(upstream, ann)).toEqual({
      upstream,
      era: 'legacy',
      capabilities: { tools: {}, prompts: {}, resources: {} },
      serverInfo: { name: 'scripted', version: '1' },
      instructions: undefined,
      tools: [{ name: 'one' }, { name: 'two' }],
      prompts: [{ name: 'greet' }],
      resources: [{ uri: 'file:///a' }],
      resourceTemplates: [{ uriTemplate: 'file:///{name}' }],
      problem: undefined,
    });
  });

  test('holds all that a modern upstream declares', async () => {
    const { offers, upstream } = await setUp({ era: 'modern' });
    expect(await offers.offerOf(upstream, viewerOf('ann', 'legacy'))).toMatchObject({
      era: 'modern',
      serverInfo: { name: 'scripted', version: '1' },
      instructions: 'Be kind.',
      tools: [{ name: 'one' }, { name: 'two' }],
      problem: undefined,
    });
  });

  test('asks for no list that the upstream does not declare', async () => {
    const { offers, upstream, steered } = await setUp({ capabilities: { prompts: {} } });
    expect(await offers.offerOf(upstream, ann)).toMatchObject({ tools: [], prompts: [], problem: undefined });
    await steered.set({});
    expect(steered.got.map(({ message }) => message.method)).toEqual([
      'initialize',
      'notifications/initialized',
      'prompts/list',
    ]);
  });

  test('has the items of all pages in their order', async () => {
    const tools = ['e', 'a', 'd', 'b', 'c'].map((name) => ({ name }));
    const { offers, upstream, steered } = await setUp({ tools, pageSize: 2 });
    expect(names((await offers.offerOf(upstream, ann)).tools)).toEqual(['e', 'a', 'd', 'b', 'c']);
    expect(await steered.count('tools/list')).toBe(3);
  });

  test('leaves out what has no name', async () => {
    const tools = [{ name: 'one' }, { title: 'nameless' }, null, { name: 7 }, { name: 'two' }] as Script['tools'];
    const { offers, upstream } = await setUp({ tools });
    expect(names((await offers.offerOf(upstream, ann)).tools)).toEqual(['one', 'two']);
  });

  test('ends after 100 pages, and says so', async () => {
    const tools = Array.from({ length: 300 }, (_, index) => ({ name: `tool-${index}` }));
    const { offers, upstream, steered } = await setUp({ tools, pageSize: 2 });
    const offer = await offers.offerOf(upstream, ann);
    expect(offer.tools).toHaveLength(200);
    expect(offer.problem).toEqual({
      reason: 'too_large',
      message: 'The upstream "demo" answers tools/list with more than the gateway holds; the rest is left out.',
    });
    expect(await steered.count('tools/list')).toBe(100);
  });

  test('holds 10,000 items of a list', async () => {
    const tools = Array.from({ length: 10_050 }, (_, index) => ({ name: `tool-${index}` }));
    const { offers, upstream } = await setUp({ tools });
    const offer = await offers.offerOf(upstream, ann);
    expect(offer.tools).toHaveLength(10_000);
    expect(offer.problem?.reason).toBe('too_large');
  });

  test('holds 16 MiB of a list, though each page is smaller', async () => {
    const description = 'x'.repeat(1024 * 1024);
    const tools = Array.from({ length: 20 }, (_, index) => ({ name: `tool-${index}`, description }));
    const { offers, upstream } = await setUp({ tools, pageSize: 5 });
    const offer = await offers.offerOf(upstream, ann);
    expect(offer.tools).toHaveLength(15);
    expect(offer.problem?.reason).toBe('too_large');
  });

  test('is without templates where the upstream does not know them', async () => {
    const { offers, upstream } = await setUp({
      capabilities: { resources: {} },
      resources: [{ uri: 'file:///a' }],
      errors: { 'resources/templates/list': { code: -32601, message: 'Method not found' } },
    });
    expect(await offers.offerOf(upstream, ann)).toMatchObject({
      resources: [{ uri: 'file:///a' }],
      resourceTemplates: [],
      problem: undefined,
    });
  });

  test('keeps the other lists when one is refused or no list', async () => {
    const refused = await setUp({
      capabilities: { tools: {}, prompts: {} },
      errors: { 'prompts/list': { code: -32603, message: 'out of prompts' } },
    });
    expect(await refused.offers.offerOf(refused.upstream, ann)).toMatchObject({
      tools: [{ name: 'one' }, { name: 'two' }],
      problem: {
        reason: 'invalid',
        message: 'The upstream "demo" answered with the error -32603: out of prompts',
      },
    });
    const garbage = await setUp({
      capabilities: { tools: {}, prompts: {} },
      results: { 'prompts/list': { prompts: 'none' } },
    });
    expect(await garbage.offers.offerOf(garbage.upstream, ann)).toMatchObject({
      tools: [{ name: 'one' }, { name: 'two' }],
      problem: {
        reason: 'invalid',
        message: 'The upstream "demo" answers prompts/list with something that is not a list.',
      },
    });
  });

  test('is read once for all who wait for it', async () => {
    const { offers, upstream, steered } = await setUp();
    const waiting = Array.from({ length: 50 }, () => offers.offerOf(upstream, ann));
    const [first, ...others] = await Promise.all(waiting);
    expect(others.every((offer) => offer === first)).toBe(true);
    expect(await steered.count('tools/list')).toBe(1);
  });

  test('is the same object until something of it changes', async () => {
    const { offers, upstream, steered, clock } = await setUp({ capabilities: { tools: {} } });
    const first = await offers.offerOf(upstream, ann);
    clock.now += 120_000;
    await offers.offerOf(upstream, ann);
    await until(() => steered.counted('tools/list') === 2);
    await steered.set({});
    expect(await offers.offerOf(upstream, ann)).toBe(first);
  });

  test('is what the upstream offers a client with these capabilities', async () => {
    const { offers, upstream, steered } = await setUp();
    await offers.offerOf(upstream, viewerOf('ann', 'legacy', { sampling: {}, roots: { listChanged: true } }));
    await offers.offerOf(upstream, viewerOf('ann', 'legacy', { roots: { listChanged: true }, sampling: {} }));
    await offers.offerOf(upstream, viewerOf('ann', 'legacy', { elicitation: {} }));
    await steered.set({});
    const declared = steered.got
      .filter(({ message }) => message.method === 'initialize')
      .map(({ message }) => (message['params'] as { capabilities: object }).capabilities);
    expect(declared).toEqual([{ sampling: {}, roots: { listChanged: true } }, { elicitation: {} }]);
  });

  test('is asked of a modern upstream with the capabilities of the viewer', async () => {
    const { offers, upstream, steered } = await setUp({ era: 'modern' });
    await offers.offerOf(upstream, viewerOf('ann', 'modern', { sampling: {} }));
    await steered.set({});
    const metas = steered.got
      .filter(({ message }) => message.method === 'tools/list')
      .map(({ message }) => (message['params'] as { _meta: object })._meta);
    expect(metas).toMatchObject([
      {
        'io.modelcontextprotocol/protocolVersion': '2026-07-28',
        'io.modelcontextprotocol/clientCapabilities': { sampling: {} },
      },
    ]);
  });

  test('shares one session with a client of the same principal and capabilities', async () => {
    const { offers, channels, upstream, steered } = await setUp();
    await offers.offerOf(upstream, viewerOf('ann', 'legacy', { sampling: {} }));
    const params = { protocolVersion: '2025-11-25', capabilities: { sampling: {} }, clientInfo: { name: 'x' } };
    await channels.open(upstream, { principalId: 'ann', sessionId: 's', initializeParams: params }, 'legacy');
    expect(steered.running()).toBe(1);
  });

  test('of equal lists of two principals is held once', async () => {
    const { offers, upstream } = await setUp({ tools: [{ name: 'one' }] });
    const [one, other] = [await offers.offerOf(upstream, ann), await offers.offerOf(upstream, viewerOf('bob'))];
    expect(other).toBe(one);
  });

  test('finds out the era of the upstream, and serves viewers of both eras with one reading', async () => {
    const world = offersOf();
    cleanUps.push(world.close);
    const steered = await steered1({ era: 'legacy' });
    const { era: _era, ...unset } = steered.upstream;
    expect(await world.offers.offerOf(unset, viewerOf('ann', 'modern'))).toMatchObject({ era: 'legacy' });
    expect(await world.offers.offerOf(unset, viewerOf('ann', 'legacy'))).toMatchObject({ era: 'legacy' });
    expect(await steered.count('tools/list')).toBe(1);
  });

  test('is peeked at without a question', async () => {
    const { offers, upstream, steered } = await setUp();
    expect(offers.peek(upstream, ann)).toBeUndefined();
    expect(steered.running()).toBe(0);
    const offer = await offers.offerOf(upstream, ann);
    expect(offers.peek(upstream, ann)).toBe(offer);
  });

  test('of another revision is read anew', async () => {
    const { offers, upstream, steered, changes } = await setUp();
    const before = await offers.offerOf(upstream, ann);
    const changed = { ...upstream, revision: 2 };
    offers.forget(upstream.id);
    const after = await offers.offerOf(changed, ann);
    expect(after).not.toBe(before);
    expect(after.upstream).toBe(changed);
    expect(await steered.count('tools/list')).toBe(2);
    expect(changes).toEqual([
      { upstreamId: upstream.id, lists: ['tools', 'prompts', 'resources'], principalId: 'ann' },
    ]);
  });
});

describe('what the upstream says while its lists are read', () => {
  const sampling = viewerOf('ann', 'legacy', { sampling: {} });
  const initializeParams = { protocolVersion: '2025-11-25', capabilities: { sampling: {} }, clientInfo: { name: 'x' } };
  const client = { principalId: 'ann', sessionId: 'session-1', initializeParams };

  test('is refused if it is a question and no client is there', async () => {
    const { offers, upstream, steered } = await setUp({ asks: 'sampling/createMessage' });
    await offers.offerOf(upstream, sampling);
    await until(() => steered.got.some(({ message }) => message.id === 'asked'));
    expect(steered.got.find(({ message }) => message.id === 'asked')?.message).toMatchObject({
      error: { code: -32601 },
    });
  });

  test('goes to a client that listens, never to the catalogue', async () => {
    const script = { asks: 'sampling/createMessage', says: 'notifications/message' };
    const { offers, channels, upstream, steered, changes } = await setUp(script);
    await offers.offerOf(upstream, sampling);
    const heard: unknown[] = [];
    (await channels.open(upstream, client, 'legacy')).attach(client, { send: (message) => heard.push(message) });
    await steered.changed('tools');
    await until(() => changes.length === 1);
    await offers.offerOf(upstream, sampling);
    await until(() => heard.length === 3);
    expect(heard).toMatchObject([
      { method: 'notifications/tools/list_changed' },
      { method: 'sampling/createMessage' },
      { method: 'notifications/message' },
    ]);
  });
});

describe('memory', () => {
  test('is given up by those who asked least recently', async () => {
    const description = 'x'.repeat(10_000);
    const tools = [{ name: 'one', description }];
    const { offers, upstream, clock } = await setUp({ tools }, { maxSize: 25_000 });
    const others = [];
    for (const index of [1, 2]) {
      others.push(await steered1({ tools }, { id: `upstream-${index}x` as typeof upstream.id }));
    }
    await offers.offerOf(upstream, ann);
    for (const { upstream: other } of others) {
      clock.now += 1000;
      await offers.offerOf(other, ann);
    }
    expect(offers.peek(upstream, ann)).toBeUndefined();
    expect(others.map(({ upstream: other }) => offers.peek(other, ann)?.tools.length)).toEqual([1, 1]);
  });

  test('is bounded by the number of viewers too', async () => {
    const { offers, upstream, clock } = await setUp({}, { maxEntries: 2 });
    for (const id of ['ann', 'bob', 'cyd']) {
      clock.now += 1000;
      await offers.offerOf(upstream, viewerOf(id));
    }
    expect(['ann', 'bob', 'cyd'].map((id) => offers.peek(upstream, viewerOf(id)) !== undefined)).toEqual([
      false,
      false,
      true,
    ]);
  });

  test('is bounded for one principal who declares ever other capabilities, and for nobody else', async () => {
    const { offers, upstream } = await setUp({}, { maxOfPrincipal: 2 });
    const as = (id: string, what: string) => viewerOf(id, 'legacy', { experimental: { [what]: {} } });
    await offers.offerOf(upstream, as('bob', 'a'));
    for (const what of ['a', 'b', 'c']) {
      expect((await offers.offerOf(upstream, as('ann', what))).problem).toBeUndefined();
    }
    expect(['a', 'b', 'c'].map((what) => offers.peek(upstream, as('ann', what)) !== undefined)).toEqual([
      false,
      true,
      true,
    ]);
    expect(offers.peek(upstream, as('bob', 'a'))).toBeDefined();
  });
});
