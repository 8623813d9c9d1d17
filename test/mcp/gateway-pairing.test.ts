import { describe, expect, test } from 'vitest';
import { CLIENTS, cleanUpLater } from './mall.ts';
import { post } from './mcp-client.ts';
import { startMcpGateway } from './mcp-gateway.ts';
import { openShop, SHOP_KINDS, type ShopKind } from './shops.ts';

async function setUp(kind: ShopKind) {
  const shop = await openShop('shop', kind);
  const gateway = await startMcpGateway({ upstreams: [shop.upstream] });
  cleanUpLater(shop.stop, gateway.stop);
  return { shop, gateway, url: gateway.urlOf('shop') };
}

describe.each(CLIENTS)('$name', ({ connect, era }) => {
  test.each(SHOP_KINDS)('uses an upstream (%s) by its own slug, with the names and URIs that it has', async (kind) => {
    const { gateway, url } = await setUp(kind);
    const client = await connect(url);
    expect(await client.tools()).toEqual(['echo', 'order', 'ask', 'poke', 'restock']);
    expect(await client.call('echo', { text: 'hi' })).toBe('shop says hi');
    expect((await client.readResource({ uri: 'shop://common' })).contents).toMatchObject([
      { uri: 'shop://common', text: 'of shop' },
    ]);
    expect((await client.getPrompt({ name: 'greet', arguments: { who: 'bob' } })).messages).toHaveLength(1);
    expect(
      gateway.decisions.map(({ upstreamSlug, gatewaySlug, tool, era: recorded }) => [
        upstreamSlug,
        gatewaySlug,
        tool,
        recorded,
      ]),
    ).toEqual([
      ['shop', undefined, 'echo', era],
      ['shop', undefined, 'shop://common', era],
      ['shop', undefined, 'greet', era],
    ]);
  });

  test.each(SHOP_KINDS)('gets the error of an upstream (%s) for a name that nobody has', async (kind) => {
    const { gateway, url } = await setUp(kind);
    const client = await connect(url);
    const answer = await client.call('nothing').catch((error: unknown) => String(error));
    expect(answer).toMatch(/nothing/);
    expect(gateway.decisions.map(({ tool, effect }) => [tool, effect])).toEqual([['nothing', 'allow']]);
  });
});

describe('an upstream that cannot be reached', () => {
  test('is the answer to whoever opens it by its own slug', async () => {
    const { shop, gateway, url } = await setUp('http modern');
    await shop.stop();
    const caller = { url, key: 'alice' };
    const params = { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'test', version: '1' } };
    const posted = await post(caller, { jsonrpc: '2.0', id: 1, method: 'initialize', params });
    expect(await posted.next()).toMatchObject({ id: 1, error: { code: -32603, data: { reason: 'bad_gateway' } } });
    expect(gateway.decisions).toEqual([]);
  });
});
