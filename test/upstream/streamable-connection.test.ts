import { describe, expect, test } from 'vitest';
import type { Upstream } from '../../src/domain/upstream.ts';
import { clientOf, connect, toolCall } from './channel-clients.ts';
import { upstreamOf } from './fixtures.ts';
import { serveEverything } from './http-clients.ts';
import type { RawHandler, RawRequest } from './raw-http-upstream.ts';
import { raw, setUpChannels, started } from './streamable-setup.ts';

/** Takes the calls of one tool. */
function tool(name: string, take: (request: RawRequest) => void): RawHandler {
  return (request) => {
    const isMine = request.method === 'tools/call' && request.params['name'] === name;
    if (isMine) {
      take(request);
    }
    return isMine;
  };
}

const sampling = { sampling: {} };
const http = (url: string, changes: Partial<Upstream> = {}) => upstreamOf({ kind: 'streamable_http', url }, changes);

describe('a legacy upstream over streamable HTTP', () => {
  test('gets its session and the negotiated version with each message, and its credentials', async () => {
    const server = await raw();
    const upstream = { ...server.upstream, auth: { kind: 'bearer' as const }, sealedSecrets: '{"bearerToken":"t"}' };
    const ann = await connect(setUpChannels().channels, upstream, clientOf('ann', 's1'));
    expect(ann.channel.era).toBe('legacy');
    expect(ann.channel.initializeResult).toEqual({
      protocolVersion: '2025-06-18',
      capabilities: {},
      serverInfo: { name: 'raw', version: '1' },
    });
    expect(await ann.send(toolCall('a', 'x', { b: 1 }))).toEqual({
      jsonrpc: '2.0',
      id: 'a',
      result: { name: 'x', arguments: { b: 1 } },
    });
    const seen = server.received.map(({ method, headers }) => [
      method,
      headers['mcp-session-id'],
      headers['mcp-protocol-version'],
      headers.accept,
      headers.authorization,
    ]);
    const accept = 'application/json, text/event-stream';
    expect(seen).toEqual([
      ['initialize', undefined, undefined, accept, 'Bearer t'],
      ['notifications/initialized', 'session-1', '2025-06-18', accept, 'Bearer t'],
      ['tools/call', 'session-1', '2025-06-18', accept, 'Bearer t'],
    ]);
  });

  test('serves clients with equal ids and progress tokens', { timeout: 20_000 }, async () => {
    const everything = await started(serveEverything('streamableHttp'));
    const { channels } = setUpChannels();
    const upstream = http(everything.url);
    const clients = await Promise.all(
      Array.from({ length: 20 }, (_, index) => connect(channels, upstream, clientOf('ann', `s${index}`))),
    );
    await Promise.all(
      clients.map(async (client, index) => {
        const steps = 2 + (index % 3);
        const slow = client.send(
          toolCall(1, 'trigger-long-running-operation', { duration: 0.5, steps }, { progressToken: 'same' }),
        );
        const echo = await client.send(toolCall(2, 'echo', { message: `client ${index}` }));
        expect(echo).toMatchObject({ id: 2, result: { content: [{ text: `Echo: client ${index}` }] } });
        expect(await slow).toMatchObject({ id: 1 });
        expect(client.withCalls.map(({ params }) => params)).toEqual(
          Array.from({ length: steps }, (_, step) =>
            expect.objectContaining({ progressToken: 'same', progress: step + 1, total: steps }),
          ),
        );
      }),
    );
  });

  test('may send events in any shape that is allowed', async () => {
    const server = await raw(
      tool('odd', (request) => {
        const stream = request.stream();
        const json = JSON.stringify({ jsonrpc: '2.0', id: request.id, result: { text: 'zoë 💡' } });
        const bytes = Buffer.from(
          `\uFEFF: hello\r\n\r\nevent: ping\ndata: {}\n\nid: 1\ndata:\n\ndata: not json\n\n` +
            `event: message\r\ndata: ${json.slice(0, 17)}\r\ndata: ${json.slice(17)}\r\nretry: 5\r\n\r\n`,
        );
        // In pieces that split characters and line ends.
        for (let start = 0; start < bytes.length; start += 7) {
          request.response.write(bytes.subarray(start, start + 7));
        }
        stream.end();
      }),
    );
    const ann = await connect(setUpChannels().channels, server.upstream, clientOf('ann', 's1'));
    expect(await ann.call('odd')).toEqual({ text: 'zoë 💡' });
    expect(ann.withCalls).toEqual([]);
  });

  test.each([
    [200, null, 'application/json'],
    [400, null, 'application/json; charset=utf-8'],
    [500, 'server-error', 'application/json'],
    [422, undefined, 'application/json'],
  ])('that answers %i with an error under the id %j answers its request', async (status, id, type) => {
    const error = { code: -32700, message: 'Parse error', data: { at: 3 } };
    const server = await raw(tool('bad', (request) => request.text(status, type, JSON.stringify({ id, error }))));
    const ann = await connect(setUpChannels().channels, server.upstream, clientOf('ann', 's1'));
    expect(await ann.send(toolCall('q', 'bad'))).toEqual({ id: 'q', error });
  });

  test.each([
    [
      401,
      'application/json',
      '{"jsonrpc":"2.0","id":null,"error":{"code":1,"message":"who?"}}',
      /refused the gateway's credentials \(HTTP 401\)/,
    ],
    [403, 'text/html', '<h1>no</h1>', /refused the gateway's credentials \(HTTP 403\)/],
    [502, 'text/html', '<h1>oops</h1>', /has HTTP status 502/],
    [200, 'text/html', '<h1>hello</h1>', /is no JSON-RPC message \(content type 'text\/html'\)/],
    [200, 'application/json', '{"jsonrpc":"2.0","id":', /is no JSON-RPC message \(content type 'application\/json'\)/],
    [202, 'text/plain', '', /has HTTP status 202/],
    [200, 'text/event-stream', ': nothing\n\n', /ended its stream without an answer/],
  ])('that answers %i %s with %s fails that call only', async (status, type, body, message) => {
    const server = await raw(tool('bad', (request) => request.text(status, type, body)));
    const ann = await connect(setUpChannels().channels, server.upstream, clientOf('ann', 's1'));
    const [bad, fine] = await Promise.allSettled([ann.call('bad'), ann.call('fine')]);
    expect(bad).toMatchObject({
      status: 'rejected',
      reason: { reason: 'bad_gateway', message: expect.stringMatching(message) },
    });
    expect(fine).toMatchObject({ status: 'fulfilled' });
    expect(server.count('initialize')).toBe(1);
  });

  test.each([
    ['JSON', 'application/json', (size: number) => `{"x":"${'y'.repeat(size)}"}`],
    ['an event', 'text/event-stream', (size: number) => `data: {"x":"${'y'.repeat(size)}"}\n\n`],
  ])('that answers with more than 16 MiB of %s fails that call only', async (_name, type, body) => {
    const server = await raw(tool('huge', (request) => request.text(200, type, body(17 * 1024 * 1024))));
    const ann = await connect(setUpChannels().channels, server.upstream, clientOf('ann', 's1'));
    await expect(ann.call('huge')).rejects.toMatchObject({
      reason: 'bad_gateway',
      message: 'The upstream "demo" sent a message of more than 16 MiB.',
    });
    expect(await ann.call('fine')).toMatchObject({ name: 'fine' });
  });

  test('that hangs is a timeout of that call only, which is cancelled there', async () => {
    const server = await raw(tool('hang', () => undefined));
    const ann = await connect(setUpChannels().channels, server.upstream, clientOf('ann', 's1'));
    const slow = ann.channel.request(toolCall(1, 'hang'), {
      client: ann.client,
      signal: ann.gone.signal,
      timeoutMs: 200,
      onMessage: () => undefined,
    });
    const other = ann.send(toolCall(2, 'hang'));
    other.catch(() => undefined);
    await expect(slow).rejects.toMatchObject({
      reason: 'upstream_timeout',
      message: expect.stringContaining('sent nothing for 0.2 s'),
    });
    const cancelled = await server.arrived('notifications/cancelled');
    const hanging = await server.arrived('tools/call');
    expect(cancelled.params).toEqual({ requestId: hanging.id, reason: 'timeout' });
    await closed(hanging);
    expect((await server.arrived('tools/call', 2)).response.destroyed).toBe(false);
    expect(await ann.call('fine')).toMatchObject({ name: 'fine' });
    expect([server.count('initialize'), server.count('ping')]).toEqual([1, 0]);
  });

  test('is not silent while comments or parts of an answer come', async () => {
    const server = await raw(
      tool('slow', (request) => {
        const stream = request.stream();
        let sent = 0;
        const timer = setInterval(() => {
          stream.write(': still here\n\n');
          if (++sent === 8) {
            clearInterval(timer);
            stream.event({ jsonrpc: '2.0', id: request.id, result: { done: true } });
            stream.end();
          }
        }, 100);
      }),
      { timeoutMs: 400 },
    );
    const ann = await connect(setUpChannels().channels, server.upstream, clientOf('ann', 's1'));
    expect(await ann.call('slow')).toEqual({ done: true });
  });

  test('may be silent for longer than usual when the call says so', async () => {
    const server = await raw(
      tool('slow', (request) => void setTimeout(() => request.result({ done: true }), 1000)),
      { timeoutMs: 300 },
    );
    const ann = await connect(setUpChannels().channels, server.upstream, clientOf('ann', 's1'));
    const { client, gone } = ann;
    const options = { client, signal: gone.signal, timeoutMs: 10_000, onMessage: () => undefined };
    expect(await ann.channel.request(toolCall(1, 'slow'), options)).toMatchObject({ result: { done: true } });
    await expect(ann.call('slow')).rejects.toMatchObject({ reason: 'upstream_timeout' });
  });

  test('is told when a client goes away', async () => {
    const server = await raw(tool('hang', (request) => request.stream()));
    const ann = await connect(setUpChannels().channels, server.upstream, clientOf('ann', 's1'));
    const call = ann.send(toolCall(7, 'hang'));
    const hanging = await server.arrived('tools/call');
    ann.gone.abort();
    await expect(call).rejects.toMatchObject({ reason: 'canceled' });
    expect((await server.arrived('notifications/cancelled')).params).toEqual({
      requestId: hanging.id,
      reason: 'the client disconnected',
    });
    await closed(hanging);
  });

  test('leaves no connection in use, however its answers end', async () => {
    const server = await raw((request) => {
      const name = request.params['name'];
      if (name === 'open') {
        request.stream().event({ jsonrpc: '2.0', id: request.id, result: {} });
      } else if (name === 'break') {
        request.stream().write('data: {');
        request.response.destroy();
      }
      return name === 'open' || name === 'break';
    });
    const { channels, pools } = setUpChannels();
    const ann = await connect(channels, server.upstream, clientOf('ann', 's1'));
    await ann.call('open');
    await ann.call('fine');
    await expect(ann.call('break')).rejects.toMatchObject({ reason: 'bad_gateway' });
    await expect.poll(() => pools.targetOf(server.upstream).active, { timeout: 5000 }).toBe(0);
  });
});

describe('what a legacy upstream says on the stream of a request', () => {
  /** Two clients of one session, whose calls of `ask` are both on their way. */
  async function two(onAsk: (request: RawRequest) => void, capabilities: object = sampling) {
    const server = await raw(tool('ask', onAsk));
    const { channels } = setUpChannels();
    const first = await connect(channels, server.upstream, clientOf('ann', 's1', { ...capabilities }));
    const second = await connect(channels, server.upstream, clientOf('ann', 's2', { ...capabilities }));
    const calls = [first.send(toolCall(1, 'ask')), second.send(toolCall(1, 'ask'))];
    for (const call of calls) {
      call.catch(() => undefined);
    }
    await server.arrived('tools/call', 2);
    return { server, first, second, calls };
  }

  test('is asked the client of that request, and the answer goes back', async () => {
    const streams = new Map<unknown, ReturnType<RawRequest['stream']>>();
    const { server, first, second, calls } = await two((request) => streams.set(request.id, request.stream()));
    const [firstId, secondId] = server.received.filter(({ method }) => method === 'tools/call').map(({ id }) => id);
    const question = (text: string) => ({ jsonrpc: '2.0', id: 0, method: 'sampling/createMessage', params: { text } });
    streams.get(secondId)?.event(question('two?'));
    streams.get(firstId)?.event(question('one?'));
    const [one, two_] = await Promise.all([
      first.first('sampling/createMessage'),
      second.first('sampling/createMessage'),
    ]);
    expect([one.params, two_.params]).toEqual([{ text: 'one?' }, { text: 'two?' }]);
    expect(one.id).not.toBe(two_.id);
    expect(second.channel.respond(second.client, { jsonrpc: '2.0', id: one.id, result: {} })).toBe(false);
    expect(first.channel.respond(first.client, { jsonrpc: '2.0', id: one.id, result: { by: 'first' } })).toBe(true);
    expect((await server.arrived('response')).message).toEqual({ jsonrpc: '2.0', id: 0, result: { by: 'first' } });
    for (const [id, stream] of streams) {
      stream.event({ jsonrpc: '2.0', id, result: { for: id } });
      stream.end();
    }
    expect(await Promise.all(calls)).toEqual([
      { jsonrpc: '2.0', id: 1, result: { for: firstId } },
      { jsonrpc: '2.0', id: 1, result: { for: secondId } },
    ]);
  });

  test('is refused when its client did not declare the capability', async () => {
    const { server } = await two((request) => {
      request.stream().event({ jsonrpc: '2.0', id: 'q', method: 'elicitation/create', params: {} });
    });
    expect((await server.arrived('response')).message).toEqual({
      jsonrpc: '2.0',
      id: 'q',
      error: { code: -32601, message: 'no connected client supports elicitation/create' },
    });
  });

  test('goes to that request: log messages and unknown notifications; a ping is answered', async () => {
    const log = { jsonrpc: '2.0', method: 'notifications/message', params: { level: 'info', data: 'x' } };
    const other = { jsonrpc: '2.0', method: 'notifications/whatever', params: { a: 1 } };
    let asked = 0;
    const { server, first, second, calls } = await two((request) => {
      const stream = request.stream();
      if (++asked === 2) {
        for (const event of [log, other, { jsonrpc: '2.0', id: 'p', method: 'ping' }]) {
          stream.event(event);
        }
      }
      stream.event({ jsonrpc: '2.0', id: request.id, result: {} });
      stream.end();
    });
    await Promise.all(calls);
    expect([first.withCalls, second.withCalls]).toEqual([[], [log, other]]);
    expect((await server.arrived('response')).message).toEqual({ jsonrpc: '2.0', id: 'p', result: {} });
  });

  test('is refused when a thousand questions wait already', async () => {
    const { server, first, second } = await two((request) => {
      const stream = request.stream();
      for (let question = 0; question <= 500; question++) {
        stream.event({ jsonrpc: '2.0', id: question, method: 'sampling/createMessage', params: {} });
      }
    });
    expect((await server.arrived('response')).message).toMatchObject({
      error: { code: -32603, message: 'too many requests wait for answers of clients' },
    });
    await server.arrived('response', 2);
    expect(first.withCalls.length + second.withCalls.length).toBe(1000);
  });

  test('gives the client all the time it needs', async () => {
    const server = await raw(
      (request) => {
        if (request.method === 'tools/call') {
          request.stream().event({ jsonrpc: '2.0', id: 1, method: 'sampling/createMessage', params: {} });
        } else if (request.method === 'response') {
          request.text(202, 'text/plain', '');
          const call = server.received.find(({ method }) => method === 'tools/call');
          const answer = { jsonrpc: '2.0', id: call?.id, result: request.message['result'] };
          call?.response.end(`data: ${JSON.stringify(answer)}\n\n`);
        }
        return request.method === 'tools/call' || request.method === 'response';
      },
      { timeoutMs: 300 },
    );
    const ann = await connect(setUpChannels().channels, server.upstream, clientOf('ann', 's1', sampling));
    const call = ann.call('ask');
    const question = await ann.first('sampling/createMessage');
    await new Promise((resolve) => setTimeout(resolve, 700));
    ann.channel.respond(ann.client, { jsonrpc: '2.0', id: question.id, result: { text: 'at last' } });
    expect(await call).toEqual({ text: 'at last' });
  });
});

/** Resolves when the connection of a request is gone. */
async function closed({ response }: RawRequest): Promise<void> {
  await expect.poll(() => response.destroyed || response.socket?.destroyed === true, { timeout: 5000 }).toBe(true);
}
