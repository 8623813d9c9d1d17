import { randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import { type EventStore, StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import { describe, expect, onTestFinished, test } from 'vitest';
import { clientOf, connect, toolCall } from './channel-clients.ts';
import { upstreamOf } from './fixtures.ts';
import type { RawRequest, RawStream } from './raw-http-upstream.ts';
import { raw, setUpChannels } from './streamable-setup.ts';

const changed = { jsonrpc: '2.0', method: 'notifications/tools/list_changed' };

/** A raw upstream with GET streams; they are collected. */
async function withStreams(onCall: (request: RawRequest) => boolean = () => false) {
  const streams: RawStream[] = [];
  const server = await raw((request) => {
    if (request.method === 'GET') {
      streams.push(request.stream());
    }
    return request.method === 'GET' || onCall(request);
  });
  const { channels, pools } = setUpChannels();
  const ann = await connect(channels, server.upstream, clientOf('ann', 's1', { sampling: {} }));
  return { server, streams, channels, pools, ann };
}

describe('the GET stream of a session', () => {
  test('is opened when somebody listens, serves all who do, and is closed with the last', async () => {
    const { server, streams, channels, ann } = await withStreams();
    const other = await connect(channels, server.upstream, clientOf('ann', 's2', { sampling: {} }));
    await ann.call('x');
    expect(server.count('GET')).toBe(0);
    const detach = ann.listen();
    const get = await server.arrived('GET');
    const detachOther = other.listen();
    expect(get.headers).toMatchObject({
      accept: 'text/event-stream',
      'mcp-session-id': 'session-1',
      'mcp-protocol-version': '2025-06-18',
    });
    streams[0]?.event(changed);
    expect(await Promise.all([ann, other].map((client) => client.first(changed.method)))).toEqual([changed, changed]);
    detach();
    streams[0]?.event({ ...changed, params: { again: true } });
    await expect.poll(() => other.heard.length, { timeout: 5000 }).toBe(2);
    expect([ann.heard.length, server.count('GET')]).toEqual([1, 1]);
    detachOther();
    await expect.poll(() => get.response.destroyed, { timeout: 5000 }).toBe(true);
    expect([ann.reopened, other.reopened]).toEqual([0, 0]);
  });

  test('asks a client that listens, and takes its answer back', async () => {
    const { server, streams, ann } = await withStreams();
    ann.listen();
    await server.arrived('GET');
    streams[0]?.event({ jsonrpc: '2.0', id: 'q', method: 'sampling/createMessage', params: {} });
    const { id } = await ann.first('sampling/createMessage');
    expect(ann.channel.respond(ann.client, { jsonrpc: '2.0', id, result: { text: 'yes' } })).toBe(true);
    expect((await server.arrived('response')).message).toEqual({ jsonrpc: '2.0', id: 'q', result: { text: 'yes' } });
  });

  test('is not asked for again when the upstream has none, which those who listen are told', async () => {
    const server = await raw();
    const ann = await connect(setUpChannels().channels, server.upstream, clientOf('ann', 's1'));
    const deaf = () => new Promise<void>((onDeaf) => ann.channel.attach(ann.client, { send: () => undefined, onDeaf }));
    await deaf();
    await deaf();
    expect(server.count('GET')).toBe(1);
  });

  test('that breaks is opened again where it ended, so that nothing is lost', async () => {
    const { server, streams, ann } = await withStreams();
    ann.listen();
    await server.arrived('GET');
    streams[0]?.write('retry: 30\n');
    streams[0]?.event(changed, 'e1');
    await ann.first(changed.method);
    streams[0]?.end();
    expect((await server.arrived('GET', 2)).headers['last-event-id']).toBe('e1');
    streams[1]?.event({ ...changed, method: 'notifications/prompts/list_changed' });
    await ann.first('notifications/prompts/list_changed');
    expect(ann.reopened).toBe(0);
  });

  test('that breaks and cannot be resumed leaves a gap, which those who listen are told', async () => {
    const { server, streams, ann } = await withStreams();
    ann.listen();
    await server.arrived('GET');
    streams[0]?.write('retry: 30\n\n');
    streams[0]?.event(changed);
    await ann.first(changed.method);
    streams[0]?.end();
    expect((await server.arrived('GET', 2)).headers['last-event-id']).toBeUndefined();
    await expect.poll(() => ann.reopened, { timeout: 5000 }).toBe(1);
    expect(server.count('initialize')).toBe(1);
  });

  test('is tried again ever later when it fails', { timeout: 20_000 }, async () => {
    const times: number[] = [];
    const server = await raw((request) => {
      if (request.method === 'GET') {
        times.push(performance.now());
        request.text(503, 'text/plain', '');
      }
      return request.method === 'GET';
    });
    const ann = await connect(setUpChannels().channels, server.upstream, clientOf('ann', 's1'));
    ann.listen();
    await server.arrived('GET', 3);
    const [first = 0, second = 0, third = 0] = times;
    expect(second - first).toBeGreaterThan(900);
    expect(third - second).toBeGreaterThan(1900);
  });

  test('leaves those who listen deaf while it fails, and a gap behind that', { timeout: 20_000 }, async () => {
    const told: string[] = [];
    let isOpen = false;
    const server = await raw((request) => {
      if (request.method === 'GET' && isOpen) request.stream();
      else if (request.method === 'GET') request.text(503, 'text/plain', '');
      return request.method === 'GET';
    });
    const ann = await connect(setUpChannels().channels, server.upstream, clientOf('ann', 's1'));
    ann.channel.attach(ann.client, {
      send: () => undefined,
      onDeaf: () => void told.push('deaf'),
      onReopen: () => void told.push('reopened'),
    });
    await expect.poll(() => told).toEqual(['deaf']);
    isOpen = true;
    await expect.poll(() => told, { timeout: 10_000 }).toEqual(['deaf', 'reopened']);
  });

  test('is tried again ever later when it ends again and again and brings nothing but comments', {
    timeout: 20_000,
  }, async () => {
    const server = await raw((request) => {
      if (request.method === 'GET') {
        const stream = request.stream();
        stream.write('retry: 40\n: nothing to tell\n\n');
        stream.end();
      }
      return request.method === 'GET';
    });
    const ann = await connect(setUpChannels().channels, server.upstream, clientOf('ann', 's1'));
    ann.listen();
    const start = performance.now();
    await server.arrived('GET', 6);
    // 40, 40, 80, 160 and 320 milliseconds, give or take what timers do.
    expect(performance.now() - start).toBeGreaterThan(550);
  });

  test('that ends with its session is opened in a new one, which those who listen are told', async () => {
    const { server, streams, ann } = await withStreams();
    ann.listen();
    await server.arrived('GET');
    streams[0]?.write('retry: 30\n\n');
    server.forgetSessions();
    streams[0]?.end();
    expect((await server.arrived('GET', 3)).headers['mcp-session-id']).toBe('session-2');
    streams.at(-1)?.event(changed);
    await ann.first(changed.method);
    expect(ann.reopened).toBe(1);
  });

  test('is opened anew with the session that a call has found lost', async () => {
    const { server, ann } = await withStreams(({ params }) => params['name'] === 'hang');
    ann.listen();
    const { response } = await server.arrived('GET');
    ann.call('hang').catch(() => undefined);
    await server.arrived('tools/call');
    server.forgetSessions();
    await ann.call('x');
    expect((await server.arrived('GET', 2)).headers['mcp-session-id']).toBe('session-2');
    expect(ann.reopened).toBe(1);
    await expect.poll(() => response.destroyed, { timeout: 5000 }).toBe(true);
  });
});

describe('an answer whose stream breaks off', () => {
  /** Takes calls with a stream that ends after an event with an id. */
  function breaking(retryMs: number) {
    return (request: RawRequest) => {
      if (request.method !== 'tools/call') {
        return false;
      }
      const stream = request.stream();
      stream.write(`id: ${String(request.id)}-1\nretry: ${retryMs}\ndata:\n\n`);
      stream.end();
      return true;
    };
  }

  test('is resumed after the time that the upstream asks for, as often as it takes', async () => {
    const { server, streams, pools, ann } = await withStreams(breaking(150));
    const call = ann.send(toolCall('c', 'poll', {}, { progressToken: 't' }));
    const { id } = await server.arrived('tools/call');
    const posted = performance.now();
    const first = await server.arrived('GET');
    expect(performance.now() - posted).toBeGreaterThan(120);
    expect(first.headers).toMatchObject({ 'last-event-id': `${String(id)}-1`, 'mcp-session-id': 'session-1' });
    const progress = { method: 'notifications/progress', params: { progressToken: id, progress: 1 } };
    streams[0]?.event({ jsonrpc: '2.0', ...progress }, 'second');
    streams[0]?.end();
    expect((await server.arrived('GET', 2)).headers['last-event-id']).toBe('second');
    streams[1]?.end();
    expect((await server.arrived('GET', 3)).headers['last-event-id']).toBe('second');
    streams[2]?.event({ jsonrpc: '2.0', id, result: { done: true } });
    expect(await call).toEqual({ jsonrpc: '2.0', id: 'c', result: { done: true } });
    expect(ann.withCalls).toEqual([
      { jsonrpc: '2.0', method: 'notifications/progress', params: { progressToken: 't', progress: 1 } },
    ]);
    await expect.poll(() => server.received.at(-1)?.response.destroyed, { timeout: 5000 }).toBe(true);
    expect(pools.targetOf(server.upstream).active).toBe(0);
  });

  test('fails when the upstream cannot resume it, and is not sent again', async () => {
    const server = await raw(breaking(10));
    const ann = await connect(setUpChannels().channels, server.upstream, clientOf('ann', 's1'));
    await expect(ann.call('x')).rejects.toMatchObject({
      reason: 'bad_gateway',
      message: 'The upstream "demo" ended its stream without an answer.',
    });
    expect([server.count('tools/call'), server.count('GET'), server.count('initialize')]).toEqual([1, 1, 1]);
  });

  test('is given up after three tries that failed', { timeout: 15_000 }, async () => {
    const take = breaking(10);
    const server = await raw((request) => {
      if (request.method === 'GET') {
        request.text(503, 'text/plain', '');
      }
      return request.method === 'GET' || take(request);
    });
    const ann = await connect(setUpChannels().channels, server.upstream, clientOf('ann', 's1'));
    await expect(ann.call('x')).rejects.toMatchObject({
      reason: 'bad_gateway',
      message: expect.stringContaining('has HTTP status 503'),
    });
    expect(server.count('GET')).toBe(3);
  });

  test('is given up with its time-out, and with its client', async () => {
    const { server, ann } = await withStreams(breaking(10));
    const { client, channel } = ann;
    const late = channel.request(toolCall(1, 'x'), {
      client,
      signal: new AbortController().signal,
      timeoutMs: 300,
      onMessage: () => undefined,
    });
    const gone = ann.call('y');
    gone.catch(() => undefined);
    await server.arrived('GET', 2);
    ann.gone.abort();
    await expect(gone).rejects.toMatchObject({ reason: 'canceled' });
    await expect(late).rejects.toMatchObject({ reason: 'upstream_timeout' });
    const gets = server.received.filter(({ method }) => method === 'GET');
    await expect.poll(() => gets.every(({ response }) => response.destroyed), { timeout: 5000 }).toBe(true);
  });

  test('of the official SDK, whose tool closes its stream meanwhile, comes whole', { timeout: 15_000 }, async () => {
    const { upstream, resumed } = await serveSdkThatCloses();
    const ann = await connect(setUpChannels().channels, upstream, clientOf('ann', 's1'));
    expect((await ann.call('slow')).content).toEqual([{ type: 'text', text: 'after the break' }]);
    expect(resumed).toHaveLength(1);
  });
});

/** An SDK 1.x server with an event store, whose tool `slow` closes its own connection before it answers. */
async function serveSdkThatCloses() {
  const transports = new Map<string, StreamableHTTPServerTransport>();
  const open = async (): Promise<StreamableHTTPServerTransport> => {
    const transport = new StreamableHTTPServerTransport({
      sessionIdGenerator: randomUUID,
      eventStore: memoryStore(),
      retryInterval: 100,
      onsessioninitialized: (id) => void transports.set(id, transport),
    });
    const server = new McpServer({ name: 'closing', version: '1' });
    server.registerTool('slow', {}, async (extra) => {
      extra.closeSSEStream?.();
      await new Promise((resolve) => setTimeout(resolve, 300));
      return { content: [{ type: 'text', text: 'after the break' }] };
    });
    await server.connect(transport);
    return transport;
  };
  const resumed: unknown[] = [];
  const handle = async (request: IncomingMessage, response: ServerResponse) => {
    if (request.method === 'GET') {
      resumed.push(request.headers['last-event-id']);
    }
    const transport = transports.get(String(request.headers['mcp-session-id'])) ?? (await open());
    await transport.handleRequest(request, response);
  };
  const listening = createServer((request, response) => void handle(request, response));
  await new Promise<void>((resolve) => listening.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    listening.closeAllConnections();
    listening.close();
  });
  const { port } = listening.address() as AddressInfo;
  return { upstream: upstreamOf({ kind: 'streamable_http', url: `http://127.0.0.1:${port}/mcp` }), resumed };
}

function memoryStore(): EventStore {
  const events: { id: string; streamId: string; message: Parameters<EventStore['storeEvent']>[1] }[] = [];
  return {
    storeEvent: async (streamId, message) => {
      const id = `${streamId}_${events.length}`;
      events.push({ id, streamId, message });
      return id;
    },
    replayEventsAfter: async (lastEventId, { send }) => {
      const index = events.findIndex(({ id }) => id === lastEventId);
      const streamId = events[index]?.streamId ?? '';
      for (const event of events.slice(index + 1)) {
        if (event.streamId === streamId) {
          await send(event.id, event.message);
        }
      }
      return streamId;
    },
  };
}
