import { afterEach, describe, expect, test } from 'vitest';
import type { OfferSettings } from '../../src/catalogue/offer-settings.ts';
import type { Upstream } from '../../src/domain/upstream.ts';
import { upstreamOf } from '../upstream/fixtures.ts';
import { serveEverything } from '../upstream/http-clients.ts';
import { serveRaw } from '../upstream/raw-http-upstream.ts';
import { serveSdk } from '../upstream/sdk-upstream.ts';
import { type ScriptedHttp, scriptedHttp } from './scripted-http.ts';
import type { Script } from './scripted-upstream.ts';
import { names, offersOf, until, viewerOf } from './support.ts';

const cleanUps: (() => Promise<void> | void)[] = [];

afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).toReversed()) {
    await cleanUp();
  }
});

async function setUp(script: Partial<Script> = {}, settings: Partial<OfferSettings> = {}) {
  const world = offersOf(settings);
  const scripted: ScriptedHttp = await scriptedHttp(script);
  cleanUps.push(scripted.stop, world.close);
  return { ...world, scripted, upstream: scripted.upstream };
}

const ann = viewerOf('ann');

describe.each(['legacy', 'modern'] as const)('a %s upstream over streamable HTTP', (era) => {
  test('that says its tools changed has them read before they are served again', async () => {
    const { offers, upstream, scripted, changes } = await setUp({ era });
    expect(names((await offers.offerOf(upstream, ann)).tools)).toEqual(['one', 'two']);
    await until(() => scripted.listening() === 1);
    scripted.set({ tools: [{ name: 'three' }] });
    scripted.changed('tools');
    await until(() => changes.length === 1);
    expect(changes).toEqual([{ upstreamId: upstream.id, lists: ['tools'], principalId: 'ann' }]);
    expect(names((await offers.offerOf(upstream, ann)).tools)).toEqual(['three']);
    expect(scripted.count('tools/list')).toBe(2);
  });

  test('that restarts with other tools is read again, and who saw its list hears of it', {
    timeout: 60_000,
  }, async () => {
    const { offers, upstream, scripted, changes } = await setUp({ era });
    await offers.offerOf(upstream, ann);
    await until(() => scripted.listening() === 1);
    await scripted.crash();
    scripted.set({ tools: [{ name: 'three' }] });
    await scripted.restart();
    await until(() => changes.length === 1);
    expect(names((await offers.offerOf(upstream, ann)).tools)).toEqual(['three']);
    await until(() => scripted.listening() === 1);
  });

  test('is not listened to when nobody used its offer for long', async () => {
    const { offers, upstream, scripted, clock } = await setUp({ era }, { usedMs: 500, sweepMs: 20 });
    await offers.offerOf(upstream, ann);
    await until(() => scripted.listening() === 1);
    clock.now += 501;
    await until(() => scripted.listening() === 0);
    expect(names(offers.peek(upstream, ann)?.tools ?? [])).toEqual(['one', 'two']);
  });

  test('is not listened to when the gateway stops', async () => {
    const { offers, upstream, scripted } = await setUp({ era });
    await offers.offerOf(upstream, ann);
    await until(() => scripted.listening() === 1);
    offers.close();
    await until(() => scripted.listening() === 0);
    expect(scripted.count('tools/list')).toBe(1);
  });
});

describe('a legacy upstream over streamable HTTP', () => {
  test('that has no stream to tell of changes on is believed for a minute only', async () => {
    const { offers, upstream, scripted, clock } = await setUp({ era: 'legacy' });
    scripted.closeStreams();
    await offers.offerOf(upstream, ann);
    await until(() => scripted.count('GET') === 1);
    clock.now += 59_000;
    await offers.offerOf(upstream, ann);
    expect(scripted.count('tools/list')).toBe(1);
    clock.now += 2_000;
    await offers.offerOf(upstream, ann);
    await until(() => scripted.count('tools/list') === 2);
  });

  test('is believed for five minutes again after it was lost and is heard again', async () => {
    const { offers, upstream, scripted, clock } = await setUp({ era: 'legacy' });
    await offers.offerOf(upstream, ann);
    await until(() => scripted.listening() === 1);
    await scripted.crash();
    await scripted.restart();
    await until(() => scripted.listening() === 1 && scripted.count('tools/list') === 2);
    await offers.offerOf(upstream, ann);
    const before = scripted.count('tools/list');
    clock.now += 299_000;
    await offers.offerOf(upstream, ann);
    await offers.offerOf(upstream, ann);
    expect(scripted.count('tools/list')).toBe(before);
  });
});

test('an upstream of both eras is asked in that of the viewer', async () => {
  const { offers, upstream } = await setUp({ era: 'both' });
  expect((await offers.offerOf(upstream, viewerOf('ann', 'modern'))).era).toBe('modern');
  expect((await offers.offerOf(upstream, viewerOf('ann', 'legacy'))).era).toBe('legacy');
});

test('an upstream that nests what it can without end is a problem, and harms nothing', async () => {
  const { offers, close } = offersOf();
  const deep = `${'['.repeat(100_000)}${']'.repeat(100_000)}`;
  const server = await serveRaw((request) => {
    const result = `{"protocolVersion":"2025-11-25","capabilities":{"tools":{},"experimental":{"x":${deep}}}}`;
    if (request.method === 'initialize')
      request.text(200, 'application/json', `{"jsonrpc":"2.0","id":${String(request.id)},"result":${result}}`);
    return request.method === 'initialize';
  });
  cleanUps.push(server.stop, close);
  const offer = await offers.offerOf({ ...server.upstream, era: 'legacy' }, ann);
  expect(offer).toMatchObject({ capabilities: {}, tools: [], problem: { reason: 'unreachable' } });
});

test('an upstream that refuses connections is a problem at once', async () => {
  const { offers, upstream, scripted } = await setUp();
  await scripted.crash();
  expect(await offers.offerOf(upstream, ann)).toMatchObject({
    tools: [],
    problem: { reason: 'unreachable', message: expect.stringContaining('refused the connection') },
  });
});

describe('the offer', () => {
  test('of server-everything over streamable HTTP and SSE is complete', { timeout: 60_000 }, async () => {
    const { offers, close } = offersOf();
    cleanUps.push(close);
    const [streamable, sse] = [await serveEverything('streamableHttp'), await serveEverything('sse')];
    cleanUps.push(streamable.stop, sse.stop);
    const upstreams = [
      upstreamOf({ kind: 'streamable_http', url: streamable.url }, { id: 'a' as Upstream['id'] }),
      upstreamOf({ kind: 'sse', url: sse.url, sharing: 'per_principal' }, { id: 'b' as Upstream['id'] }),
    ];
    for (const upstream of upstreams) {
      const offer = await offers.offerOf(upstream, viewerOf('ann', 'modern'));
      expect(offer.problem).toBeUndefined();
      expect(offer.era).toBe('legacy');
      expect(names(offer.tools)).toContain('echo');
      expect(offer.prompts.length).toBeGreaterThan(1);
      expect(offer.resourceTemplates.length).toBeGreaterThan(0);
      expect(offer.instructions).toContain('Everything');
    }
  });

  test('of a server of the official SDK is read in either era', async () => {
    const { offers, close } = offersOf();
    const server = await serveSdk();
    cleanUps.push(server.stop, close);
    const upstream = upstreamOf({ kind: 'streamable_http', url: server.url });
    for (const era of ['modern', 'legacy'] as const) {
      expect(await offers.offerOf(upstream, viewerOf('ann', era))).toMatchObject({
        era,
        serverInfo: { name: 'sdk fixture', version: '2.0.0' },
        tools: [{ name: 'echo' }, { name: 'regional' }],
        problem: undefined,
      });
    }
  });
});
