import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { request } from 'undici';
import { describe, expect, test } from 'vitest';
import { cleanUpLater, connect2, openMall, textOf, until } from './mall.ts';
import { type Caller, type Json, openSession, post, toolCall } from './mcp-client.ts';
import { startMcpGateway } from './mcp-gateway.ts';
import { SHOP_KINDS } from './shops.ts';

const LEGACY_KINDS = ['http legacy', 'sse', 'stdio legacy'] as const;

/** Connects a client whose user answers every question. */
async function connectAnswering(url: string, mode: 'legacy' | 'auto', key: string): Promise<Client> {
  const client = new Client(
    { name: 'test', version: '1' },
    { capabilities: { elicitation: { form: {} } }, versionNegotiation: { mode } },
  );
  client.setRequestHandler('elicitation/create', async () => ({ action: 'accept', content: { name: key } }));
  const headers = { authorization: `Bearer ${key}` };
  await client.connect(new StreamableHTTPClientTransport(new URL(url), { requestInit: { headers } }));
  cleanUpLater(() => client.close());
  return client;
}

describe.each(['legacy', 'auto'] as const)('a client in the era %s whose user answers', (mode) => {
  test.each(SHOP_KINDS)('is asked by a tool of an upstream (%s), and its answer goes back there', async (kind) => {
    const { url } = await openMall(['http legacy', kind]);
    const alice = await connectAnswering(url, mode, 'alice');
    const mallory = await connectAnswering(url, mode, 'mallory');
    const ask = async (client: Client) => textOf(await client.callTool({ name: 's2_ask', arguments: {} }));
    expect(await Promise.all([ask(alice), ask(mallory)])).toEqual([
      'answered {"name":"alice"}',
      'answered {"name":"mallory"}',
    ]);
  });
});

describe('a legacy session', () => {
  test.each(LEGACY_KINDS)(
    'is asked on its stream what an upstream (%s) wants to know outside of a call',
    async (kind) => {
      const { url } = await openMall([kind, 'http modern']);
      const client = await connectAnswering(url, 'legacy', 'alice');
      const call = async (name: string) => textOf(await client.callTool({ name, arguments: {} }));
      await until(async () => {
        await call('s1_poke');
        return (await call('s1_restock')) !== 'full';
      });
      expect(await call('s1_restock')).toBe('alice');
    },
  );

  test.each(LEGACY_KINDS)('tells an upstream (%s) with which it speaks that its roots changed', async (kind) => {
    const { url } = await openMall([kind, 'http modern']);
    const session = await openSession({ url, key: 'alice' }, { roots: { listChanged: true } });
    const restock = async () =>
      textOf((await (await post(session, toolCall(1, 's1_restock'))).rest()).at(-1)?.['result']);
    expect(await restock()).toBe('full');
    await post(session, { jsonrpc: '2.0', method: 'notifications/roots/list_changed' });
    await until(async () => (await restock()) !== 'full');
    expect(await restock()).toBe('roots changed');
  });

  test('is served by every replica, and an answer to a question of one may come to another', async () => {
    const { gateway, url } = await openMall(['http legacy', 'http modern', 'stdio legacy']);
    const replica = await startMcpGateway({ replicaOf: gateway });
    cleanUpLater(replica.stop);
    const here = await openSession({ url, key: 'alice' }, { elicitation: { form: {} } });
    const there = { ...here, url: replica.urlOf('mall') };
    for (const [id, caller] of [here, there, here, there].entries()) {
      const list = await (await post(caller, { jsonrpc: '2.0', id, method: 'tools/list' })).next();
      expect(list).toMatchObject({ id, result: { tools: { length: 15 } } });
      for (const shop of ['s1', 's2', 's3']) {
        const answer = await (await post(caller, toolCall(id, `${shop}_echo`, { text: id }))).rest();
        expect(answer.at(-1)).toMatchObject({ id, result: { content: [{ text: `${shop} says ${id}` }] } });
      }
    }
    for (const shop of ['s1', 's2', 's3']) {
      const call = await post(here, toolCall('c', `${shop}_ask`));
      const question = await call.next();
      expect(question).toMatchObject({ method: 'elicitation/create' });
      const result = { action: 'accept', content: { name: 'ann' } };
      expect((await post(there, { jsonrpc: '2.0', id: question?.['id'], result })).status).toBe(202);
      expect(await call.next()).toMatchObject({ id: 'c', result: { content: [{ text: 'answered {"name":"ann"}' }] } });
    }
  });

  test('belongs to its principal and its gateway, and is over after DELETE', async () => {
    const { gateway, url } = await openMall(['http legacy', 'http modern']);
    const session = await openSession({ url, key: 'alice' });
    const list = (caller: Caller) => post(caller, { jsonrpc: '2.0', id: 1, method: 'tools/list' });
    expect((await list({ ...session, key: 'mallory' })).status).toBe(404);
    expect((await list({ ...session, url: gateway.urlOf('s1') })).status).toBe(404);
    expect((await list(session)).status).toBe(200);
    const headers = { 'mcp-session-id': session.sessionId ?? '', authorization: 'Bearer alice' };
    expect((await request(url, { method: 'DELETE', headers })).statusCode).toBe(200);
    expect((await list(session)).status).toBe(404);
  });

  test('cancels a call, which its upstream is told', async () => {
    const { url } = await openMall(['stdio legacy', 'http modern']);
    const session = await openSession({ url, key: 'alice' }, { elicitation: { form: {} } });
    const call = await post(session, toolCall(5, 's1_ask'));
    expect(await call.next()).toMatchObject({ method: 'elicitation/create' });
    const cancel = { jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 5 } };
    expect((await post(session, cancel)).status).toBe(202);
    expect((await call.rest()).filter((message) => 'result' in message || 'error' in message)).toEqual([]);
  });
});

describe('principals', () => {
  test('never get each other’s answers, whatever ids and sessions they name', async () => {
    const { url } = await openMall(SHOP_KINDS);
    const alice = await openSession({ url, key: 'alice' });
    const mallory = await openSession({ url, key: 'mallory' });
    const say = async (caller: Caller, text: string) => {
      const all = SHOP_KINDS.map((_kind, at) => post(caller, toolCall(1, `s${at + 1}_echo`, { text })));
      return (await Promise.all((await Promise.all(all)).map((posted) => posted.rest()))).map((rest) =>
        textOf((rest.at(-1) as Json)['result']),
      );
    };
    const [ofAlice, ofMallory] = await Promise.all([say(alice, 'a'), say(mallory, 'm')]);
    expect(ofAlice).toEqual(SHOP_KINDS.map((_kind, at) => `s${at + 1} says a`));
    expect(ofMallory).toEqual(SHOP_KINDS.map((_kind, at) => `s${at + 1} says m`));
  });
});

describe('an upstream that dies', () => {
  test('takes nothing from the others', async () => {
    const { shops, gateway, url } = await openMall(['http legacy', 'http modern']);
    const client = await connect2(url, 'legacy');
    expect((await client.listTools()).tools).toHaveLength(10);
    const gone = shops[1];
    await gone?.stop();
    gateway.settings.putUpstream({ ...(gone?.upstream as NonNullable<typeof gone>['upstream']) });
    const names = async () => (await client.listTools()).tools.map(({ name }) => name.slice(0, 2));
    expect(new Set(await names())).toEqual(new Set(['s1']));
    expect(textOf(await client.callTool({ name: 's1_echo', arguments: { text: 'hi' } }))).toBe('s1 says hi');
    await expect(client.callTool({ name: 's2_echo', arguments: {} })).rejects.toMatchObject({ code: -32603 });
  });
});
