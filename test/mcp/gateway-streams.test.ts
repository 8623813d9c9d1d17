import type { Client } from '@modelcontextprotocol/client';
import { request } from 'undici';
import { describe, expect, test } from 'vitest';
import { cleanUpLater, connect2, denyPolicy, openMall, until } from './mall.ts';
import { type Caller, openSession, post, postModern } from './mcp-client.ts';
import { startMcpGateway } from './mcp-gateway.ts';
import { gatewayOf, openShop, SHOP_KINDS, type Shop } from './shops.ts';

type Heard = Record<'tools' | 'prompts' | 'resources', number> & { readonly updated: string[] };

/** What the client's listening stream brought. */
function listenTo(client: Client): Heard {
  const heard: Heard = { tools: 0, prompts: 0, resources: 0, updated: [] };
  for (const name of ['tools', 'prompts', 'resources'] as const) {
    client.setNotificationHandler(`notifications/${name}/list_changed`, async () => void heard[name]++);
  }
  client.setNotificationHandler(
    'notifications/resources/updated',
    async ({ params }) => void heard.updated.push(params.uri),
  );
  return heard;
}

const NAMES = ['echo', 'order', 'ask', 'poke', 'restock'];
const ALL_LISTS = { toolsListChanged: true, promptsListChanged: true, resourcesListChanged: true };

/** Connects a client that listens, and watches these resources. */
async function connectListening(url: string, era: 'legacy' | 'modern', uris: readonly string[] = []) {
  const client = await connect2(url, era === 'legacy' ? 'legacy' : 'auto');
  const heard = listenTo(client);
  if (era === 'modern') {
    await client.listen({ ...ALL_LISTS, ...(uris.length === 0 ? {} : { resourceSubscriptions: [...uris] }) });
  } else {
    for (const uri of uris) await client.subscribeResource({ uri });
  }
  return { client, heard };
}

describe.each(['legacy', 'modern'] as const)('a %s client that listens', (era) => {
  test.each(['http legacy', 'http modern', 'sse'] as const)(
    'hears that an upstream (%s) has a new tool, and finds it',
    async (kind) => {
      const { shops, url } = await openMall(['http legacy', kind]);
      const { client, heard } = await connectListening(url, era);
      expect((await client.listTools()).tools).toHaveLength(10);
      shops[1]?.addTool('paint');
      await until(() => heard.tools > 0);
      expect((await client.listTools()).tools.map(({ name }) => name)).toContain('s2_paint');
    },
  );

  test.each(SHOP_KINDS)('hears of a resource that it watches at an upstream (%s), and of no other', async (kind) => {
    const { shops, url } = await openMall(['http legacy', kind]);
    const { client, heard } = await connectListening(url, era, ['s2+shop://s2/stock']);
    await until(async () => {
      shops[0]?.restock();
      await client.callTool({ name: 's2_restock', arguments: {} });
      return heard.updated.length > 0;
    });
    expect(new Set(heard.updated)).toEqual(new Set(['s2+shop://s2/stock']));
  });

  test('hears when the gateway is given another upstream, and when one is taken away', async () => {
    const { gateway, url } = await openMall(['http legacy']);
    const { client, heard } = await connectListening(url, era);
    expect((await client.listTools()).tools.map(({ name }) => name)).toEqual(NAMES);
    const late = await openShop('late', 'http modern');
    gateway.settings.putUpstream(late.upstream);
    await until(() => {
      gateway.settings.putGateway(gatewayOf('mall', [{ slug: 's1' }, { slug: 'late' }]));
      return heard.tools > 0;
    });
    expect((await client.listTools()).tools.map(({ name }) => name)).toContain('late_echo');
    const before = heard.tools;
    gateway.settings.deleteUpstream(late.upstream.id);
    await until(() => heard.tools > before);
    expect((await client.listTools()).tools.map(({ name }) => name)).toEqual(NAMES.map((name) => `s1_${name}`));
    await late.stop();
  });

  test('hears when policies show it other tools', async () => {
    const { gateway, url } = await openMall(['http legacy', 'http modern']);
    const { client, heard } = await connectListening(url, era);
    await until(() => {
      gateway.settings.setPolicies([denyPolicy({ upstreamPattern: 's1', toolPattern: '*' })]);
      return heard.tools > 0 && heard.prompts > 0 && heard.resources > 0;
    });
    expect((await client.listTools()).tools.map(({ name }) => name)).toEqual(NAMES.map((name) => `s2_${name}`));
  });
});

function sessionOf(client: Client): string {
  return (client.transport as { sessionId?: string }).sessionId ?? '';
}

/** Opens a stream of a session; what comes is added to the result. */
async function openStream({ url, key, sessionId = '' }: Caller): Promise<string[]> {
  const texts: string[] = [];
  const gone = new AbortController();
  const headers = { authorization: `Bearer ${key}`, 'mcp-session-id': sessionId, accept: 'text/event-stream' };
  const { body } = await request(url, { headers, signal: gone.signal });
  body.on('data', (chunk: Buffer) => texts.push(String(chunk))).on('error', () => {});
  cleanUpLater(async () => gone.abort());
  return texts;
}

describe('a legacy session', () => {
  test.each(['http legacy', 'sse'] as const)(
    'hears nothing more of a resource of an upstream (%s) after it unsubscribed, while another session does',
    async (kind) => {
      const { shops, url } = await openMall([kind, 'http modern']);
      const uri = 'shop://s1/stock';
      const one = await connectListening(url, 'legacy', [uri]);
      const other = await connectListening(url, 'legacy', [uri, 's1+shop://common']);
      await until(() => {
        shops[0]?.restock();
        return one.heard.updated.length > 0 && other.heard.updated.includes('s1+shop://common');
      });
      expect(new Set(one.heard.updated)).toEqual(new Set([uri]));
      await one.client.unsubscribeResource({ uri });
      const before = one.heard.updated.length;
      other.heard.updated.length = 0;
      shops[0]?.restock();
      await until(() => other.heard.updated.includes(uri));
      expect(one.heard.updated.length).toBe(before);
      await other.client.unsubscribeResource({ uri });
      expect(shops[0]?.watched()).toEqual(['shop://common']);
      const headers = { 'mcp-session-id': sessionOf(other.client), authorization: 'Bearer alice' };
      await request(url, { method: 'DELETE', headers });
      await until(() => shops[0]?.watched().length === 0);
    },
  );

  test('unsubscribes after the upstream was changed, and hears nothing more', async () => {
    const { gateway, shops, url } = await openMall(['http legacy', 'http modern']);
    const uri = 'shop://s1/stock';
    const { client, heard } = await connectListening(url, 'legacy', [uri]);
    gateway.settings.putUpstream({ ...(shops[0] as Shop).upstream, displayName: 'another' });
    await until(() => {
      shops[0]?.restock();
      return heard.updated.length > 0 && shops[0]?.watched().length === 1;
    });
    expect(await client.unsubscribeResource({ uri })).toEqual({});
    await until(() => shops[0]?.watched().length === 0);
  });

  test('gets each message on one of its streams only', async () => {
    const { shops, url } = await openMall(['http legacy', 'http modern']);
    const session = await openSession({ url, key: 'alice' });
    await (
      await post(session, { jsonrpc: '2.0', id: 1, method: 'resources/subscribe', params: { uri: 'shop://s2/stock' } })
    ).rest();
    const streams = [await openStream(session), await openStream(session)];
    await until(() => {
      shops[0]?.addTool(`tool${Math.random()}`);
      shops[1]?.restock();
      return streams.some((texts) => texts.join('').includes('updated') && texts.join('').includes('list_changed'));
    });
    expect(streams.filter((texts) => texts.length > 0)).toHaveLength(1);
  });

  test('loses its streams on every replica when it is ended', async () => {
    const { gateway, url } = await openMall(['http legacy', 'http modern']);
    const replica = await startMcpGateway({ replicaOf: gateway });
    cleanUpLater(replica.stop);
    const session = await openSession({ url, key: 'alice' });
    const headers = { 'mcp-session-id': session.sessionId ?? '', authorization: 'Bearer alice' };
    const streams = await Promise.all(
      [url, replica.urlOf('mall')].map((each) =>
        request(each, { headers: { ...headers, accept: 'text/event-stream' } }),
      ),
    );
    await request(url, { method: 'DELETE', headers });
    expect(await Promise.all(streams.map(({ body }) => body.text()))).toEqual(['', '']);
  });

  test('cannot watch what policies would never let it read', async () => {
    const policies = [denyPolicy({ upstreamPattern: 's1', toolPattern: 'shop://s1/*' })];
    const { shops, url } = await openMall(['http legacy', 'http modern'], { policies });
    const client = await connect2(url, 'legacy');
    const uri = 'shop://s1/stock';
    await expect(client.subscribeResource({ uri })).rejects.toMatchObject({ code: -32602 });
    expect(shops[0]?.watched()).toEqual([]);
  });

  test('cannot watch what nobody has', async () => {
    const { url } = await openMall(['http legacy', 'http modern']);
    const { client } = await connectListening(url, 'legacy');
    await expect(client.subscribeResource({ uri: 'nothing://here' })).rejects.toMatchObject({ code: -32602 });
  });
});

describe('a modern subscription', () => {
  test('is told what was agreed to, and ends in order when the process stops', async () => {
    const { gateway, url } = await openMall(['http legacy', 'http modern']);
    const client = await connect2(url, 'auto');
    const subscription = await client.listen({
      toolsListChanged: true,
      resourceSubscriptions: ['shop://s1/stock', 'nothing://here'],
    });
    expect(subscription.honoredFilter).toEqual({ toolsListChanged: true, resourceSubscriptions: ['shop://s1/stock'] });
    gateway.beginStop();
    expect(await subscription.closed).toBe('graceful');
  });

  test('is not told of resources that policies would never let it read', async () => {
    const policies = [denyPolicy({ upstreamPattern: 's1', toolPattern: 'shop://s1/*' })];
    const { url } = await openMall(['http legacy', 'http modern'], { policies });
    const notifications = { resourceSubscriptions: ['shop://s1/stock', 'shop://s2/stock'] };
    const message = { jsonrpc: '2.0', id: 1, method: 'subscriptions/listen', params: { notifications } };
    const stream = await postModern({ url, key: 'alice' }, message);
    expect(await stream.next()).toMatchObject({
      method: 'notifications/subscriptions/acknowledged',
      params: { notifications: { resourceSubscriptions: ['shop://s2/stock'] } },
    });
    stream.leave();
  });

  test('hears only what it asked for', async () => {
    const { gateway, url } = await openMall(['http legacy', 'http modern']);
    const client = await connect2(url, 'auto');
    const heard = listenTo(client);
    await client.listen({ promptsListChanged: true });
    gateway.settings.putGateway(gatewayOf('mall', [{ slug: 's1' }]));
    await until(() => heard.prompts > 0);
    expect(heard).toEqual({ tools: 0, prompts: 1, resources: 0, updated: [] });
  });
});
