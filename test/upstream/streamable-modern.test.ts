import { describe, expect, test } from 'vitest';
import type { Upstream } from '../../src/domain/upstream.ts';
import type { ChannelRequestOptions } from '../../src/upstream/channels.ts';
import { MODERN_META } from '../../src/upstream/gateway-client.ts';
import type { JsonObject } from '../../src/upstream/message.ts';
import { connect, type TestClient } from './channel-clients.ts';
import { upstreamOf } from './fixtures.ts';
import type { RawHandler } from './raw-http-upstream.ts';
import { serveSdk } from './sdk-upstream.ts';
import { raw, setUpChannels, started } from './streamable-setup.ts';

const SUBSCRIPTION = 'io.modelcontextprotocol/subscriptionId';

function request(id: unknown, method: string, params: JsonObject = {}, meta: JsonObject = {}): JsonObject {
  return { jsonrpc: '2.0', id, method, params: { ...params, _meta: { ...MODERN_META, ...meta } } };
}

const call = (id: unknown, name: string, args: JsonObject = {}, meta: JsonObject = {}) =>
  request(id, 'tools/call', { name, arguments: args }, meta);
const listen = (id: unknown) => request(id, 'subscriptions/listen', { notifications: { toolsListChanged: true } });

async function modern(handler?: RawHandler, changes: Partial<Upstream> = {}) {
  const server = await raw(handler, { era: 'modern', ...changes });
  const { channels, pools } = setUpChannels();
  const client = (principalId: string, sessionId: string) =>
    connect(channels, server.upstream, { principalId, sessionId }, 'modern');
  return { server, channels, pools, client };
}

/** Sends with options of its own. */
function send(client: TestClient, message: JsonObject, options: Partial<ChannelRequestOptions>): Promise<JsonObject> {
  return client.channel.request(message, {
    client: client.client,
    signal: client.gone.signal,
    onMessage: () => undefined,
    ...options,
  });
}

describe('a modern upstream over streamable HTTP', () => {
  test('gets requests only, each with the headers that repeat its body and those of the caller', async () => {
    const { server, client } = await modern();
    const ann = await client('ann', 'r1');
    expect([ann.channel.era, ann.channel.initializeResult]).toEqual(['modern', undefined]);
    const versioned = call(1, 'tool', {}, { 'io.modelcontextprotocol/protocolVersion': '2027-01-01' });
    await send(ann, versioned, { headers: { 'mcp-param-region': 'eu' } });
    await ann.send(request('2', 'resources/read', { uri: 'file:///zoë' }));
    await ann.send(request(3, 'tools/list'));
    ann.channel.notify(ann.client, { jsonrpc: '2.0', method: 'notifications/roots/list_changed' });
    await ann.send(request(4, 'prompts/get', { name: 'p' }));
    const seen = server.received.map(({ method, headers }) => [
      method,
      headers['mcp-protocol-version'],
      headers['mcp-method'],
      headers['mcp-name'],
      headers['mcp-param-region'],
      headers['mcp-session-id'],
    ]);
    expect(seen).toEqual([
      ['tools/call', '2027-01-01', 'tools/call', 'tool', 'eu', undefined],
      ['resources/read', '2026-07-28', 'resources/read', '=?base64?ZmlsZTovLy96b8Or?=', undefined, undefined],
      ['tools/list', '2026-07-28', 'tools/list', undefined, undefined, undefined],
      ['prompts/get', '2026-07-28', 'prompts/get', 'p', undefined, undefined],
    ]);
  });

  test.each([
    [404, -32601],
    [400, -32020],
    [400, -32000],
    [200, -32602],
  ])('that answers %i with the error %i answers its request', async (status, code) => {
    const { server, client } = await modern((received) => {
      const error = { code, message: 'no', data: { a: 1 } };
      received.text(status, 'application/json', JSON.stringify({ jsonrpc: '2.0', id: received.id, error }));
      return true;
    });
    const ann = await client('ann', 'r1');
    expect(await ann.send(call('c', 'x'))).toEqual({
      jsonrpc: '2.0',
      id: 'c',
      error: { code, message: 'no', data: { a: 1 } },
    });
    expect(server.received).toHaveLength(1);
  });

  test('sees a client that goes away, or cancels, by the end of the exchange', async () => {
    const { server, pools, client } = await modern((received) => {
      received.stream();
      return true;
    });
    const ann = await client('ann', 'r1');
    const bob = await client('bob', 'r1');
    const calls = [ann.send(call(1, 'hang')), bob.send(call(1, 'hang'))];
    const failed = Promise.allSettled(calls);
    const [first, second] = [await server.arrived('tools/call'), await server.arrived('tools/call', 2)];
    ann.gone.abort();
    await expect.poll(() => first.response.destroyed, { timeout: 5000 }).toBe(true);
    expect(second.response.destroyed).toBe(false);
    bob.channel.notify(bob.client, { method: 'notifications/cancelled', params: { requestId: 1 } });
    await expect.poll(() => second.response.destroyed, { timeout: 5000 }).toBe(true);
    expect(await failed).toMatchObject([{ reason: { reason: 'canceled' } }, { reason: { reason: 'canceled' } }]);
    expect(server.received).toHaveLength(2);
    expect(pools.targetOf(server.upstream).active).toBe(0);
  });

  test('that hangs, or breaks a stream, fails that call only and is not asked to resume it', async () => {
    const { server, client } = await modern((received) => {
      const name = received.params['name'];
      if (name === 'break') {
        const stream = received.stream();
        stream.write('id: 1\nretry: 1\ndata:\n\n');
        stream.end();
      }
      return name === 'break' || name === 'hang';
    });
    const ann = await client('ann', 'r1');
    const ends = await Promise.allSettled([
      ann.send(call(1, 'break')),
      send(ann, call(2, 'hang'), { timeoutMs: 200 }),
      ann.send(call(3, 'fine')),
    ]);
    expect(ends).toMatchObject([
      { reason: { reason: 'bad_gateway', message: 'The upstream "demo" ended its stream without an answer.' } },
      { reason: { reason: 'upstream_timeout' } },
      { value: { id: 3 } },
    ]);
    expect(server.methods()).toEqual(['tools/call', 'tools/call', 'tools/call']);
  });

  test('may ask nothing', async () => {
    const { server, client } = await modern((received) => {
      const stream = received.stream();
      stream.event({ jsonrpc: '2.0', id: 'q', method: 'sampling/createMessage', params: {} });
      stream.event({ jsonrpc: '2.0', id: received.id, result: { resultType: 'complete' } });
      stream.end();
      return true;
    });
    const ann = await client('ann', 'r1');
    expect(await ann.send(call(1, 'ask'))).toMatchObject({ result: { resultType: 'complete' } });
    expect(ann.withCalls).toEqual([]);
    expect(server.methods()).toEqual(['tools/call']);
  });

  test('serves principals with equal ids and progress tokens, each with its own', async () => {
    const { client } = await modern((received) => {
      const { progressToken } = received.params['_meta'] as { progressToken: unknown };
      const stream = received.stream();
      const owner = received.params['arguments'];
      stream.event({ jsonrpc: '2.0', method: 'notifications/progress', params: { progressToken, message: owner } });
      stream.event({ jsonrpc: '2.0', method: 'notifications/message', params: { level: 'info', data: owner } });
      setTimeout(() => {
        stream.event({ jsonrpc: '2.0', id: received.id, result: { owner } });
        stream.end();
      }, 20);
      return true;
    });
    const clients = await Promise.all(['ann', 'bob', 'eve'].map((name) => client(name, 'same')));
    const answers = await Promise.all(
      clients.map((each) => each.send(call(1, 'x', { of: each.client.principalId }, { progressToken: 'same' }))),
    );
    expect(answers.map(({ result }) => result)).toEqual(['ann', 'bob', 'eve'].map((of) => ({ owner: { of } })));
    expect(clients.map(({ withCalls }) => withCalls.map(({ params }) => params))).toEqual(
      ['ann', 'bob', 'eve'].map((of) => [
        { progressToken: 'same', message: { of } },
        { level: 'info', data: { of } },
      ]),
    );
  });

  test('tags each subscription with the id of its own client; it may be silent and takes no place of a call', async () => {
    const { server, pools, channels, client } = await modern(
      (received) => {
        if (received.method !== 'subscriptions/listen') {
          return false;
        }
        const params = { _meta: { [SUBSCRIPTION]: received.id }, notifications: { toolsListChanged: true } };
        received.stream().event({ jsonrpc: '2.0', method: 'notifications/subscriptions/acknowledged', params });
        return true;
      },
      { timeoutMs: 300 },
    );
    const ann = await client('ann', 'r1');
    const bob = await client('bob', 'r2');
    const streams = [ann.send(listen('same')), bob.send(listen('same'))];
    const ends = Promise.allSettled(streams);
    await Promise.all([ann, bob].map((each) => each.first('notifications/subscriptions/acknowledged')));
    await new Promise((resolve) => setTimeout(resolve, 600));
    expect(pools.targetOf(server.upstream).active).toBe(0);
    const [annListen, bobListen] = server.received;
    const changed = (id: unknown) =>
      `data: ${JSON.stringify({ method: 'notifications/tools/list_changed', params: { _meta: { [SUBSCRIPTION]: id } } })}\n\n`;
    bobListen?.response.write(changed(bobListen.id));
    const heard = await bob.first('notifications/tools/list_changed');
    expect(heard).toEqual({
      method: 'notifications/tools/list_changed',
      params: { _meta: { [SUBSCRIPTION]: 'same' } },
    });
    expect(ann.withCalls).toHaveLength(1);
    ann.gone.abort();
    await expect.poll(() => annListen?.response.destroyed, { timeout: 5000 }).toBe(true);
    expect(bobListen?.response.destroyed).toBe(false);
    channels.forget(server.upstream.id);
    await expect.poll(() => bobListen?.response.destroyed, { timeout: 5000 }).toBe(true);
    expect(await ends).toMatchObject([{ reason: { reason: 'canceled' } }, { reason: { reason: 'unavailable' } }]);
  });

  test('of the official SDK works, and its subscriptions too', async () => {
    const server = await started(serveSdk({ legacy: 'reject' }));
    const upstream = upstreamOf({ kind: 'streamable_http', url: server.url });
    const { channels } = setUpChannels();
    const ann = await connect(channels, upstream, { principalId: 'ann', sessionId: 'r1' }, 'modern');
    expect(await ann.send(call('é', 'echo', { text: '💡' }))).toMatchObject({
      id: 'é',
      result: { resultType: 'complete', content: [{ type: 'text', text: '💡' }] },
    });
    const stream = ann.send(listen('l'));
    stream.catch(() => undefined);
    expect(await ann.first('notifications/subscriptions/acknowledged')).toMatchObject({
      params: { _meta: { [SUBSCRIPTION]: 'l' } },
    });
    ann.gone.abort();
    await expect(stream).rejects.toMatchObject({ reason: 'canceled' });
  });
});
