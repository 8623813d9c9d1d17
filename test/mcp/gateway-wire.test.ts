import { describe, expect, test } from 'vitest';
import type { GatewayUpstream } from '../../src/domain/gateway.ts';
import { type HandShop, handShop } from './hand-shop.ts';
import { cleanUpLater } from './mall.ts';
import { type Caller, type Json, openSession, type Posted, post, postModern, send } from './mcp-client.ts';
import { type McpGateway, startMcpGateway } from './mcp-gateway.ts';
import { gatewayOf } from './shops.ts';

const META = {
  'io.modelcontextprotocol/protocolVersion': '2026-07-28',
  'io.modelcontextprotocol/clientCapabilities': {},
};
const REGIONAL = {
  name: 'order',
  inputSchema: { type: 'object', properties: { region: { type: 'string', 'x-mcp-header': 'Region' }, key: {} } },
};

async function setUp(
  shops: readonly HandShop[],
  entries: readonly Partial<GatewayUpstream>[] = [],
): Promise<{ gateway: McpGateway; caller: Caller }> {
  const upstreams = shops.map(({ upstream }) => upstream);
  const gateways = [
    gatewayOf(
      'mall',
      upstreams.map(({ slug }, at) => ({ slug, ...entries[at] })),
    ),
  ];
  const gateway = await startMcpGateway({ upstreams, gateways });
  cleanUpLater(gateway.stop);
  return { gateway, caller: { url: gateway.urlOf('mall'), key: 'alice' } };
}

/** A modern `tools/call` whose text the test writes itself. */
async function call(caller: Caller, params: string, name: string, headers: Record<string, string> = {}): Promise<Json> {
  const text = `{"jsonrpc":"2.0", "id":7,"method":"tools/call","params":{"_meta":${JSON.stringify(META)},${params}}}`;
  const posted = await send(caller, text, {
    'mcp-protocol-version': '2026-07-28',
    'mcp-method': 'tools/call',
    'mcp-name': name,
    ...headers,
  });
  return (await posted.next()) ?? {};
}

async function answerOf(posted: Promise<Posted>): Promise<Json> {
  return (await (await posted).next()) ?? {};
}

describe('a call of a modern client to a modern upstream', () => {
  test('passes as it was written, but for the name, in the body and in the header', async () => {
    const shop = await handShop('s1', [REGIONAL]);
    const { caller } = await setUp([shop, await handShop('s2', [])]);
    const answer = await call(
      caller,
      `"n\\u0061me" : "s1_order", "arguments":{ "n": 1.0, "big":12345678901234567890,"region":"eu"},"x":[1e2]`,
      's1_order',
      {
        'mcp-param-region': 'eu',
        traceparent: '00-1-2-01',
      },
    );
    expect(answer).toMatchObject({ id: 7, result: { content: [{ text: 'done' }] } });
    expect(shop.calls[0]?.text).toBe(
      `{"jsonrpc":"2.0", "id":7,"method":"tools/call","params":{"_meta":${JSON.stringify(META)},"n\\u0061me" : "order", "arguments":{ "n": 1.0, "big":12345678901234567890,"region":"eu"},"x":[1e2]}}`,
    );
    expect(shop.calls[0]?.headers).toMatchObject({
      'mcp-name': 'order',
      'mcp-param-region': 'eu',
      'mcp-method': 'tools/call',
      traceparent: '00-1-2-01',
    });
    expect(shop.calls[0]?.headers).not.toHaveProperty('authorization');
  });

  test('repeats arguments in headers anew where the gateway adds some, and keeps numbers as they were written', async () => {
    const shop = await handShop('s1', [REGIONAL]);
    const tools = { order: { fixedArguments: { region: 'us', key: 1 } } };
    const { caller, gateway } = await setUp([shop], [{ tools }]);
    await call(caller, `"name":"order","arguments":{"n":1.50,"region":"eu"}`, 'order', { 'mcp-param-region': 'eu' });
    const params = `"name":"order","arguments":{"key":1,"n":1.50,"region":"us"}`;
    expect(shop.calls[0]?.text).toContain(params);
    expect(shop.calls[0]?.headers['mcp-param-region']).toBe('us');
    expect(gateway.decisions[0]?.argumentsJson).toContain('"region":"us"');
  });

  test('cannot add to arguments that are no object', async () => {
    const shop = await handShop('s1', [REGIONAL]);
    const { caller } = await setUp([shop], [{ tools: { order: { fixedArguments: { key: 1 } } } }]);
    for (const given of ['[1]', '1e400', '12345678901234567890']) {
      const answer = await call(caller, `"name":"order","arguments":${given}`, 'order');
      expect(answer).toMatchObject({ id: 7, error: { code: -32602 } });
    }
    expect(shop.calls).toEqual([]);
  });

  test('repeats numbers in headers also where others are kept as they were written', async () => {
    const inputSchema = { type: 'object', properties: { region: { type: 'integer', 'x-mcp-header': 'Region' } } };
    const shop = await handShop('s1', [{ name: 'order', inputSchema }]);
    const { caller } = await setUp([shop], [{ tools: { order: { fixedArguments: { key: 1 } } } }]);
    const given = `"name":"order","arguments":{"region":42,"big":12345678901234567890}`;
    await call(caller, given, 'order', { 'mcp-param-region': '42' });
    const legacy = await openSession(caller);
    const text = `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{${given}}}`;
    await (await send(legacy, text, { 'mcp-protocol-version': '2025-11-25' })).rest();
    expect(shop.calls.map(({ headers }) => headers['mcp-param-region'])).toEqual(['42', '42']);
  });

  test('is refused when its headers do not repeat its arguments', async () => {
    const shop = await handShop('s1', [REGIONAL]);
    const { caller, gateway } = await setUp([shop]);
    const params = `"name":"order","arguments":{"region":"eu"}`;
    for (const headers of [{}, { 'mcp-param-region': 'us' }] as Record<string, string>[]) {
      expect(await call(caller, params, 'order', headers)).toMatchObject({ id: 7, error: { code: -32020 } });
    }
    expect(gateway.decisions).toEqual([]);
    expect(await call(caller, params, 'order', { 'mcp-param-region': '=?base64?ZXU=?=' })).toMatchObject({
      result: {},
    });
  });

  test('goes to the upstream while others are silent', async () => {
    const silent = await handShop('s2', []);
    silent.silent.add('server/discover').add('tools/list');
    const shop = await handShop('s1', [REGIONAL]);
    const { caller } = await setUp([shop, silent], [{}, { timeoutMs: 300 }]);
    await answerOf(postModern(caller, { jsonrpc: '2.0', id: 1, method: 'tools/list', params: {} }));
    expect(await call(caller, `"name":"s1_order"`, 's1_order')).toMatchObject({ result: {} });
    const list = await answerOf(postModern(caller, { jsonrpc: '2.0', id: 2, method: 'tools/list', params: {} }));
    expect(list).toMatchObject({
      result: {
        resultType: 'complete',
        ttlMs: 0,
        cacheScope: 'private',
        tools: [{ name: 's1_order' }],
        _meta: { 'portcullis/unavailable': [{ upstream: 's2', message: expect.stringContaining('"s2"') }] },
      },
    });
  });
});

test('a client that declares more than 16 KiB of capabilities is refused', async () => {
  const { caller } = await setUp([await handShop('s1', [REGIONAL])]);
  const list = { jsonrpc: '2.0', id: 1, method: 'tools/list', params: {} };
  const declaring = (length: number) => postModern(caller, list, { experimental: { x: 'x'.repeat(length) } });
  expect(await answerOf(declaring(16_000))).toMatchObject({ result: { tools: [{ name: 'order' }] } });
  expect(await answerOf(declaring(17_000))).toMatchObject({ id: 1, error: { code: -32602 } });
});

describe('a list', () => {
  const LARGE = Array.from({ length: 12 }, (_, at) => ({ name: `t${at}`, description: 'x'.repeat(480_000) }));
  const listOf = (caller: Caller, params: Json, method = 'tools/list') =>
    answerOf(post(caller, { jsonrpc: '2.0', id: 'l', method, params })) as Promise<{
      result: { tools: { name: string }[]; nextCursor?: string };
      error?: Json;
    }>;

  test('comes in pages, of which the empty cursor is the first', async () => {
    const { caller } = await setUp([await handShop('s1', LARGE)]);
    const session = await openSession(caller);
    const first = await listOf(session, {});
    const cursor = first.result.nextCursor;
    expect(await listOf(session, { cursor: '' })).toEqual(first);
    const second = await listOf(session, { cursor });
    const names = [...first.result.tools, ...second.result.tools].map(({ name }) => name);
    expect(names).toEqual(LARGE.map(({ name }) => name));
    expect(second.result).not.toHaveProperty('nextCursor');
  });

  test('refuses a cursor that it did not give', async () => {
    const shop = await handShop('s1', LARGE);
    const { caller, gateway } = await setUp([shop]);
    gateway.settings.putGateway(gatewayOf('other', [{ slug: 's1' }]));
    const session = await openSession(caller);
    const other = await openSession({ url: gateway.urlOf('other'), key: 'alice' });
    const cursor = (await listOf(session, {})).result.nextCursor;
    for (const [who, method, given] of [
      [other, 'tools/list', cursor],
      [session, 'prompts/list', cursor],
      [session, 'tools/list', 'garbage'],
      [session, 'tools/list', 5],
    ] as const) {
      expect(await listOf(who, { cursor: given }, method)).toMatchObject({ id: 'l', error: { code: -32602 } });
    }
  });
});

describe('methods', () => {
  test('that an era does not have are not found', async () => {
    const { caller } = await setUp([await handShop('s1', [])]);
    const session = await openSession(caller);
    for (const method of ['server/discover', 'subscriptions/listen', 'tasks/list', 'no/such']) {
      const posted = await post(session, { jsonrpc: '2.0', id: 1, method });
      expect([posted.status, await posted.next()]).toMatchObject([200, { id: 1, error: { code: -32601 } }]);
    }
    for (const method of ['ping', 'logging/setLevel', 'resources/subscribe', 'no/such']) {
      const posted = await postModern(caller, { jsonrpc: '2.0', id: 1, method, params: {} });
      expect([posted.status, await posted.next()]).toMatchObject([404, { id: 1, error: { code: -32601 } }]);
    }
  });

  test('of a legacy client need a session, but for initialize', async () => {
    const { caller } = await setUp([await handShop('s1', [])]);
    expect((await post(caller, { jsonrpc: '2.0', id: 1, method: 'tools/list' })).status).toBe(400);
  });

  test('ping and a change of the log level are answered by the gateway', async () => {
    const { caller } = await setUp([await handShop('s1', [])]);
    const session = await openSession(caller);
    const request = (method: string, params: Json) =>
      answerOf(post(session, { jsonrpc: '2.0', id: 1, method, params }));
    expect(await request('ping', {})).toEqual({ jsonrpc: '2.0', id: 1, result: {} });
    expect(await request('logging/setLevel', { level: 'error' })).toEqual({ jsonrpc: '2.0', id: 1, result: {} });
    expect(await request('logging/setLevel', { level: 'loud' })).toMatchObject({ error: { code: -32602 } });
  });

  test('server/discover tells what a gateway is', async () => {
    const { caller } = await setUp([await handShop('s1', [])]);
    expect(
      await answerOf(postModern(caller, { jsonrpc: '2.0', id: 'd', method: 'server/discover', params: {} })),
    ).toEqual({
      jsonrpc: '2.0',
      id: 'd',
      result: {
        resultType: 'complete',
        supportedVersions: ['2026-07-28', '2025-11-25', '2025-06-18', '2025-03-26', '2024-11-05'],
        capabilities: { tools: { listChanged: true } },
        ttlMs: 0,
        cacheScope: 'private',
        _meta: { 'io.modelcontextprotocol/serverInfo': { name: 'mall', version: expect.any(String) } },
      },
    });
  });
});
