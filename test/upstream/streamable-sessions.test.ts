import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { Upstream } from '../../src/domain/upstream.ts';
import { clientOf, connect, TestClient, toolCall } from './channel-clients.ts';
import { serveHttp, upstreamOf } from './fixtures.ts';
import { freePort, reachable } from './http-clients.ts';
import { raw, setUpChannels } from './streamable-setup.ts';

const http = (url: string, changes: Partial<Upstream> = {}) => upstreamOf({ kind: 'streamable_http', url }, changes);

describe('a session at a streamable HTTP upstream', () => {
  test('is shared by the clients of a principal with equal capabilities, never by principals, and opened once', async () => {
    const server = await raw();
    const { channels } = setUpChannels();
    const clients = [
      clientOf('ann', 's1', { roots: {} }),
      clientOf('ann', 's2', { roots: {} }),
      clientOf('ann', 's3'),
      clientOf('bob', 's4', { roots: {} }),
    ];
    const connected = await Promise.all(clients.map((client) => connect(channels, server.upstream, client)));
    await Promise.all(connected.map((client) => client.call('x')));
    const opened = server.received.filter(({ method }) => method === 'initialize');
    expect(opened.map(({ params }) => params['capabilities'])).toEqual([{ roots: {} }, {}, { roots: {} }]);
    const used = server.received.filter(({ method }) => method === 'tools/call');
    expect(used.map(({ headers }) => headers['mcp-session-id'])).toEqual([
      'session-1',
      'session-1',
      'session-2',
      'session-3',
    ]);
  });

  test.each([
    [404, 'text/plain', undefined],
    [404, 'application/json', { id: 'server-error', code: -32600 }],
    [400, 'application/json', { id: null, code: -32000 }],
    [400, 'application/json', { id: 'that of the request', code: -32000 }],
  ])(
    'that is lost (HTTP %i %s %o) is opened once more for all its calls, which are repeated once',
    async (status, type, error) => {
      let known = 'session-1';
      const server = await raw((request) => {
        const isLost = request.method === 'tools/call' && request.headers['mcp-session-id'] !== known;
        if (isLost) {
          const id = error?.id === 'that of the request' ? request.id : error?.id;
          const answer = { jsonrpc: '2.0', id, error: { code: error?.code, message: 'No valid session ID provided' } };
          request.text(status, type, error === undefined ? 'Not Found' : JSON.stringify(answer));
        }
        return isLost;
      });
      const ann = await connect(setUpChannels().channels, server.upstream, clientOf('ann', 's1'));
      await ann.call('before');
      known = 'session-2';
      const calls = ['a', 'b', 'c'].map((name) => ann.call(name, {}));
      expect(await Promise.all(calls)).toEqual(['a', 'b', 'c'].map((name) => ({ name, arguments: {} })));
      expect([server.count('initialize'), server.count('tools/call')]).toEqual([2, 7]);
    },
  );

  test('that is lost again at once fails the call with what the upstream says', async () => {
    const error = { code: -32001, message: 'Session not found' };
    const server = await raw((request) => {
      const isCall = request.method === 'tools/call';
      if (isCall) {
        request.text(404, 'application/json', JSON.stringify({ jsonrpc: '2.0', id: null, error }));
      }
      return isCall;
    });
    const ann = await connect(setUpChannels().channels, server.upstream, clientOf('ann', 's1'));
    expect(await ann.send(toolCall('q', 'x'))).toEqual({ jsonrpc: '2.0', id: 'q', error });
    expect([server.count('initialize'), server.count('tools/call')]).toEqual([2, 2]);
  });

  test('is not given up for a 400 that is about the request: one that names it, or comes again in a new session', async () => {
    const invalid = { code: -32602, message: 'Invalid params' };
    const vague = { code: -32000, message: 'Bad request' };
    const server = await raw((request) => {
      const isCall = request.method === 'tools/call';
      if (isCall) {
        const named = request.params['name'] === 'named';
        const answer = named ? { id: request.id, error: invalid } : { id: null, error: vague };
        request.text(400, 'application/json', JSON.stringify({ jsonrpc: '2.0', ...answer }));
      }
      return isCall;
    });
    const ann = await connect(setUpChannels().channels, server.upstream, clientOf('ann', 's1'));
    expect(await ann.send(toolCall(1, 'named'))).toEqual({ jsonrpc: '2.0', id: 1, error: invalid });
    expect(server.count('initialize')).toBe(1);
    for (const id of [2, 3, 4]) {
      expect(await ann.send(toolCall(id, 'vague'))).toEqual({ jsonrpc: '2.0', id, error: vague });
    }
    expect(server.count('initialize')).toBe(2);
  });

  test('that is lost leaves the calls that go on to themselves, also what they ask and their cancellation', async () => {
    const server = await raw((request) => {
      if (request.params['name'] === 'asks') {
        request.stream().event({ jsonrpc: '2.0', id: 'q', method: 'sampling/createMessage', params: {} });
      }
      return request.params['name'] === 'asks' || request.params['name'] === 'hang';
    });
    const ann = await connect(setUpChannels().channels, server.upstream, clientOf('ann', 's1', { sampling: {} }));
    const asks = ann.send(toolCall('asks', 'asks'));
    const hang = ann.send(toolCall('hang', 'hang'));
    const question = await ann.first('sampling/createMessage');
    await server.arrived('tools/call', 2);
    server.forgetSessions();
    expect(await ann.call('fine')).toMatchObject({ name: 'fine' });
    expect(ann.channel.respond(ann.client, { jsonrpc: '2.0', id: question.id, result: {} })).toBe(true);
    ann.channel.notify(ann.client, { method: 'notifications/cancelled', params: { requestId: 'hang' } });
    await expect(hang).rejects.toMatchObject({ reason: 'canceled' });
    const call = await server.arrived('tools/call');
    call.response.end(`data: ${JSON.stringify({ jsonrpc: '2.0', id: call.id, result: { ok: 1 } })}\n\n`);
    expect(await asks).toMatchObject({ id: 'asks', result: { ok: 1 } });
  });

  test('survives a new process of the upstream', { timeout: 30_000 }, async () => {
    const port = await freePort();
    const start = async () => {
      const child = spawn('mcp-server-everything', ['streamableHttp'], {
        env: { ...process.env, PORT: String(port) },
        stdio: ['ignore', 'ignore', 'pipe'],
      });
      child.stderr.resume();
      onTestFinished(() => void child.kill('SIGKILL'));
      await reachable(port);
      return child;
    };
    const first = await start();
    const { channels } = setUpChannels();
    const ann = await connect(channels, http(`http://127.0.0.1:${port}/mcp`), clientOf('ann', 's1'));
    const list = await ann.send({ jsonrpc: '2.0', id: 1, method: 'tools/list', params: {} });
    expect(list.result).toMatchObject({ tools: expect.arrayContaining([expect.objectContaining({ name: 'echo' })]) });
    first.kill('SIGKILL');
    await once(first, 'close');
    await expect(ann.call('echo', { message: 'down' })).rejects.toMatchObject({ reason: 'bad_gateway' });
    await start();
    expect((await ann.call('echo', { message: 'up' })).content).toEqual([{ type: 'text', text: 'Echo: up' }]);
  });

  test('is ended at the upstream when idle, when the upstream is changed, and with the gateway', async () => {
    const server = await raw();
    const { channels } = setUpChannels({ httpIdleMs: 200 });
    const ann = await connect(channels, server.upstream, clientOf('ann', 's1'));
    expect((await server.arrived('DELETE')).headers['mcp-session-id']).toBe('session-1');
    await ann.call('again');
    channels.forget(server.upstream.id);
    expect((await server.arrived('DELETE', 2)).headers['mcp-session-id']).toBe('session-2');
    await connect(channels, { ...server.upstream, revision: 2 }, clientOf('ann', 's1'));
    await channels.close();
    expect(server.received.at(-1)).toMatchObject({ method: 'DELETE', headers: { 'mcp-session-id': 'session-3' } });
  });

  test('is kept while somebody listens or a call is in flight', async () => {
    const server = await raw((request) => request.params['name'] === 'hang');
    const { channels } = setUpChannels({ httpIdleMs: 150 });
    const ann = await connect(channels, server.upstream, clientOf('ann', 's1'));
    const bob = await connect(channels, server.upstream, clientOf('bob', 's2'));
    const detach = ann.listen();
    const hanging = bob.send(toolCall(1, 'hang'));
    hanging.catch(() => undefined);
    await new Promise((resolve) => setTimeout(resolve, 500));
    expect(server.count('DELETE')).toBe(0);
    detach();
    expect((await server.arrived('DELETE')).headers['mcp-session-id']).toBe('session-1');
  });

  test('makes room when there are too many: the one unused for longest first, of any upstream, one that is listened to last', async () => {
    const one = await raw();
    const two = await raw(undefined, { id: 'upstream-2' as Upstream['id'] });
    const { channels } = setUpChannels({ maxHttpSessions: 3 });
    const ann = await connect(channels, one.upstream, clientOf('ann', 's1'));
    ann.listen();
    const bob = await connect(channels, two.upstream, clientOf('bob', 's2'));
    await connect(channels, one.upstream, clientOf('eve', 's3'));
    await new Promise((resolve) => setTimeout(resolve, 5)); // so that the last uses differ
    await bob.call('x');
    await connect(channels, two.upstream, clientOf('dan', 's4'));
    expect((await one.arrived('DELETE')).headers['mcp-session-id']).toBe('session-2');
    await connect(channels, two.upstream, clientOf('zoe', 's5'));
    expect((await two.arrived('DELETE')).headers['mcp-session-id']).toBe('session-1');
    expect(await bob.call('again')).toMatchObject({ name: 'again' });
    expect([one.count('DELETE'), two.count('DELETE')]).toEqual([1, 2]);
  });

  test('that is listened to and makes room tells so, and again when it is made anew', async () => {
    const server = await raw((request) => request.method === 'GET' && request.stream() !== undefined);
    const { channels } = setUpChannels({ maxHttpSessions: 1 });
    const ann = await connect(channels, server.upstream, clientOf('ann', 's1'));
    const told: string[] = [];
    ann.channel.attach(ann.client, {
      send: () => undefined,
      onDeaf: () => void told.push('deaf'),
      onReopen: () => void told.push('reopened'),
    });
    await server.arrived('GET');
    await connect(channels, server.upstream, clientOf('bob', 's2'));
    expect(told).toEqual(['deaf']);
    await ann.call('x');
    expect(told).toEqual(['deaf', 'reopened']);
  });

  test('is refused when all the others are busy', async () => {
    const server = await raw((request) => request.params['name'] === 'hang');
    const { channels } = setUpChannels({ maxHttpSessions: 1 });
    const ann = await connect(channels, server.upstream, clientOf('ann', 's1'));
    const hanging = ann.send(toolCall(1, 'hang'));
    hanging.catch(() => undefined);
    await expect(connect(channels, server.upstream, clientOf('bob', 's2'))).rejects.toMatchObject({
      reason: 'unavailable',
      retryAfterMs: 1000,
      message: expect.stringContaining('the gateway has as many as it may'),
    });
  });
});

describe('a streamable HTTP upstream that cannot be opened', () => {
  test('fails every call with its own error and no wait, and works as soon as it is back', async () => {
    const down = await serveHttp(() => undefined);
    await down.stop();
    const { channels } = setUpChannels();
    for (let attempt = 0; attempt < 5; attempt++) {
      await expect(connect(channels, http(down.url), clientOf('ann', 's1'))).rejects.toMatchObject({
        reason: 'bad_gateway',
        message: expect.stringContaining('refused the connection'),
      });
    }
    let isBack = false;
    const server = await raw((request) => {
      if (!isBack) {
        request.text(503, 'text/plain', 'starting');
      }
      return !isBack;
    });
    for (let attempt = 0; attempt < 5; attempt++) {
      await expect(connect(channels, { ...server.upstream, revision: 2 }, clientOf('ann', 's1'))).rejects.toMatchObject(
        {
          reason: 'bad_gateway',
          message: expect.stringContaining('has HTTP status 503'),
        },
      );
    }
    isBack = true;
    const ann = await connect(channels, { ...server.upstream, revision: 2 }, clientOf('ann', 's1'));
    expect(await ann.call('x')).toMatchObject({ name: 'x' });
  });

  test('that never answers initialize fails all who wait for it, and is asked again by the next', async () => {
    const server = await raw((request) => request.method === 'initialize', { timeoutMs: 300 });
    const { channels, pools } = setUpChannels();
    const opening = ['s1', 's2', 's3'].map((id) => connect(channels, server.upstream, clientOf('ann', id)));
    const ends = await Promise.allSettled(opening);
    expect(ends).toEqual(
      Array.from({ length: 3 }, () => ({
        status: 'rejected',
        reason: expect.objectContaining({ reason: 'upstream_timeout' }),
      })),
    );
    expect(server.count('initialize')).toBe(1);
    await expect(connect(channels, server.upstream, clientOf('ann', 's1'))).rejects.toMatchObject({
      reason: 'upstream_timeout',
    });
    expect(server.count('initialize')).toBe(2);
    expect(pools.targetOf(server.upstream).active).toBe(0);
  });

  test('that refuses to initialize says why', async () => {
    const error = { code: -32602, message: 'no such version' };
    const server = await raw((request) => {
      request.text(400, 'application/json', JSON.stringify({ jsonrpc: '2.0', id: request.id, error }));
      return true;
    });
    await expect(connect(setUpChannels().channels, server.upstream, clientOf('ann', 's1'))).rejects.toMatchObject({
      reason: 'bad_gateway',
      message: 'The upstream "demo" refused the initialization: no such version',
    });
  });

  test('that is closed while it opens leaves no session', async () => {
    const server = await raw();
    const { channels } = setUpChannels();
    const opening = connect(channels, server.upstream, clientOf('ann', 's1'));
    channels.forget(server.upstream.id);
    await expect(opening).rejects.toMatchObject({ reason: 'unavailable' });
    await server.arrived('DELETE');
  });
});

test('a channel goes on after its session was ended as idle', async () => {
  const server = await raw();
  const { channels } = setUpChannels({ httpIdleMs: 100 });
  const client = clientOf('ann', 's1');
  const ann = new TestClient(client, await channels.open(server.upstream, client, 'legacy'));
  await server.arrived('DELETE');
  expect(await ann.call('x')).toMatchObject({ name: 'x' });
});
