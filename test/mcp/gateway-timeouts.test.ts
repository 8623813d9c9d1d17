import { describe, expect, test } from 'vitest';
import { handShop } from './hand-shop.ts';
import { cleanUpLater, openMall } from './mall.ts';
import { type Caller, type Json, openSession, post, postModern, toolCall } from './mcp-client.ts';
import { startMcpGateway } from './mcp-gateway.ts';
import { gatewayOf, type ShopKind } from './shops.ts';

const ERAS = ['legacy', 'modern'] as const;

/** Calls a tool as a client of that era does; resolves with the JSON-RPC answer. */
async function answerTo(caller: Caller, era: (typeof ERAS)[number], name: string, args: Json = {}) {
  const posted =
    era === 'modern'
      ? await postModern(caller, toolCall(1, name, args))
      : await post(await openSession(caller), toolCall(1, name, args));
  return (await posted.rest()).at(-1) ?? {};
}

const silentFor = (time: string) => ({
  error: { code: -32603, message: expect.stringContaining(`sent nothing for ${time}`) },
});

describe.each(ERAS)('the time-out that a gateway sets for an upstream, for a %s client', (era) => {
  // A process may take its time to start, and undici one or two seconds longer to notice a time-out.
  test.each<[ShopKind, number, number]>([
    ['http legacy', 400, 2_500],
    ['http modern', 400, 2_500],
    ['stdio legacy', 3_000, 3_400],
  ])(
    'that is longer than the upstream’s own (%s, %d ms) lets a call take longer',
    {
      timeout: 30_000,
    },
    async (kind, timeoutMs, afterMs) => {
      const unit = { kind, changes: { timeoutMs }, entry: { timeoutMs: 20_000 } };
      const { url } = await openMall([unit]);
      const args = { text: 'hi', afterMs };
      const answer = await answerTo({ url, key: 'alice' }, era, 'echo', args);
      expect(answer).toMatchObject({ result: { content: [{ text: 's1 says hi' }] } });
    },
  );

  test('that is shorter holds for its own clients only, whoever opened the connection', async () => {
    const shop = await handShop('s1', [{ name: 'order', inputSchema: { type: 'object' } }], { timeoutMs: 700 });
    const entries = [{ slug: 's1', timeoutMs: 200 }];
    const gateway = await startMcpGateway({ upstreams: [shop.upstream], gateways: [gatewayOf('mall', entries)] });
    cleanUpLater(gateway.stop);
    const through = { url: gateway.urlOf('mall'), key: 'alice' };
    const direct = { url: gateway.urlOf('s1'), key: 'alice' };
    expect(await answerTo(through, era, 'order')).toMatchObject({ result: {} });
    shop.silent.add('tools/call');
    expect(await answerTo(through, era, 'order')).toMatchObject(silentFor('0.2 s'));
    expect(await answerTo(direct, era, 'order')).toMatchObject(silentFor('0.7 s'));
  });
});
