import type { IncomingMessage, ServerResponse } from 'node:http';
import { afterEach, describe, expect, test } from 'vitest';
import type { Upstream } from '../../src/domain/upstream.ts';
import { channelsOf, clientOf, connect, toolCall } from './channel-clients.ts';
import { type Listening, serveTexts, upstreamOf } from './fixtures.ts';
import { httpClientOf } from './http-clients.ts';

const cleanUps: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).toReversed()) {
    await cleanUp();
  }
});

function sseUpstream(url: string, changes: Partial<Upstream> = {}): Upstream {
  return upstreamOf({ kind: 'sse', url, sharing: 'per_principal' }, changes);
}

function setUp() {
  const http = httpClientOf();
  const { channels, close } = channelsOf(http.client);
  cleanUps.push(http.close, close);
  return channels;
}

interface FakeSse {
  readonly server: Listening;
  readonly posted: string[];
  /** Open event streams, newest last. */
  readonly streams: ServerResponse[];
}

/** A two-endpoint server: it answers `initialize` and echoes calls, unless `onPost` takes the message. */
async function fakeSse(
  options: {
    endpoint?: string;
    onGet?: (request: IncomingMessage, response: ServerResponse) => boolean;
    onPost?: (text: string, response: ServerResponse) => boolean;
  } = {},
): Promise<FakeSse> {
  const posted: string[] = [];
  const streams: ServerResponse[] = [];
  const server = await serveTexts((request, text, response) => {
    if (request.method === 'GET') {
      if (options.onGet?.(request, response) === true) {
        return;
      }
      response.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8' });
      response.write(`: hello\n\nevent: endpoint\r\ndata: ${options.endpoint ?? '/messages?session=1'}\r\n\r\n`);
      streams.push(response);
      return;
    }
    posted.push(`${request.url} ${text}`);
    if (options.onPost?.(text, response) === true) {
      return;
    }
    response.writeHead(202).end('Accepted');
    const { id, method, params } = JSON.parse(text);
    if (id !== undefined) {
      const result = method === 'initialize' ? { protocolVersion: '2024-11-05', capabilities: {} } : params.arguments;
      streams.at(-1)?.write(`event: message\ndata: ${JSON.stringify({ jsonrpc: '2.0', id, result })}\n\n`);
    }
  });
  cleanUps.push(server.stop);
  return { server, posted, streams };
}

describe('a two-endpoint SSE upstream', () => {
  test('gets messages at the endpoint it named and answers on its stream', async () => {
    const fake = await fakeSse({ endpoint: 'messages?session=1' });
    const ann = await connect(setUp(), sseUpstream(fake.server.url), clientOf('ann', 's1'));
    expect(await ann.call('echo', { text: 'é'.repeat(100_000) })).toEqual({ text: 'é'.repeat(100_000) });
    expect(ann.channel.initializeResult).toEqual({ protocolVersion: '2024-11-05', capabilities: {} });
    expect(fake.posted.map((line) => line.split(' ')[0])).toEqual(Array(3).fill('/messages?session=1'));
    expect(fake.posted[1]).toContain('notifications/initialized');
  });

  test('gets its credentials with the stream and with each message', async () => {
    const seen: unknown[] = [];
    const fake = await fakeSse({
      onGet: (request) => {
        seen.push(request.headers.authorization);
        return false;
      },
      onPost: () => false,
    });
    const upstream = sseUpstream(fake.server.url, { auth: { kind: 'bearer' }, sealedSecrets: '{"bearerToken":"t"}' });
    const ann = await connect(setUp(), upstream, clientOf('ann', 's1'));
    await ann.call('echo', {});
    expect(seen).toEqual(['Bearer t']);
  });

  test.each([
    ['another origin', 'http://example.com/messages'],
    ['another port', 'http://127.0.0.1:1/messages'],
    ['another scheme', 'javascript:alert(1)'],
  ])('that names an endpoint of %s gets nothing', async (_name, endpoint) => {
    const fake = await fakeSse({ endpoint });
    await expect(connect(setUp(), sseUpstream(fake.server.url), clientOf('ann', 's1'))).rejects.toMatchObject({
      reason: 'bad_gateway',
      message: 'The upstream "demo" named an endpoint of another origin, which is not used.',
    });
    expect(fake.posted).toEqual([]);
  });

  test.each([
    [404, 'text/plain', 'answered 404 when its event stream was opened'],
    [200, 'application/json', 'did not answer with an event stream'],
  ])('that answers %i %s is a bad gateway', async (status, contentType, text) => {
    const fake = await fakeSse({
      onGet: (_request, response) => {
        response.writeHead(status, { 'content-type': contentType }).end('{}');
        return true;
      },
    });
    await expect(connect(setUp(), sseUpstream(fake.server.url), clientOf('ann', 's1'))).rejects.toMatchObject({
      reason: 'bad_gateway',
      message: expect.stringContaining(text),
    });
  });

  test('that fails again and again locks nobody out: the first call that it can take gets through', async () => {
    const channels = setUp();
    let isDown = true;
    const fake = await fakeSse({
      onGet: (_request, response) => isDown && response.writeHead(500).end() !== undefined,
    });
    const attempt = () => connect(channels, sseUpstream(fake.server.url), clientOf('ann', 's1'));
    for (let time = 0; time < 10; time++) {
      await expect(attempt()).rejects.toMatchObject({ reason: 'bad_gateway' });
    }
    isDown = false;
    await expect(attempt()).resolves.toBeDefined();
  });

  test('that names no endpoint is given up', async () => {
    const fake = await fakeSse({
      onGet: (_request, response) => {
        response.writeHead(200, { 'content-type': 'text/event-stream' }).write(': nothing yet\n\n');
        return true;
      },
    });
    await expect(
      connect(setUp(), sseUpstream(fake.server.url, { timeoutMs: 200 }), clientOf('ann', 's1')),
    ).rejects.toMatchObject({ message: expect.stringContaining('named no endpoint in time') });
  });

  test('that refuses one message fails that call only', async () => {
    const fake = await fakeSse({
      onPost: (text, response) => {
        const isRefused = text.includes('refuse me');
        if (isRefused) {
          response.writeHead(500).end();
        }
        return isRefused;
      },
    });
    const ann = await connect(setUp(), sseUpstream(fake.server.url), clientOf('ann', 's1'));
    const [refused, fine] = await Promise.allSettled([ann.call('refuse me'), ann.call('echo', { ok: 1 })]);
    expect(refused).toMatchObject({
      status: 'rejected',
      reason: { reason: 'bad_gateway', message: expect.stringContaining('answered 500 to a message') },
    });
    expect(fine).toEqual({ status: 'fulfilled', value: { ok: 1 } });
  });

  test('that closes its stream fails the calls in flight, and the next call connects again', async () => {
    const fake = await fakeSse({
      onPost: (text, response) => text.includes('hang') && response.writeHead(202).end() !== undefined,
    });
    const channels = setUp();
    const upstream = sseUpstream(fake.server.url);
    const ann = await connect(channels, upstream, clientOf('ann', 's1'));
    const hanging = ann.send(toolCall(1, 'hang'));
    fake.streams[0]?.end();
    await expect(hanging).rejects.toMatchObject({
      reason: 'bad_gateway',
      message: expect.stringContaining('closed its event stream'),
    });
    const again = await connect(channels, upstream, clientOf('ann', 's1'));
    expect(await again.call('echo', { again: true })).toEqual({ again: true });
    expect(fake.streams).toHaveLength(2);
  });

  test('that closes its stream is connected to again for those who listen', async () => {
    const fake = await fakeSse();
    const ann = await connect(setUp(), sseUpstream(fake.server.url), clientOf('ann', 's1'));
    ann.listen();
    fake.streams[0]?.end();
    await expect
      .poll(() => fake.posted.filter((line) => line.includes('initialized')).length, { timeout: 5000 })
      .toBe(2);
    fake.streams[1]?.write('data: {"jsonrpc":"2.0","method":"notifications/tools/list_changed"}\n\n');
    expect(await ann.first('notifications/tools/list_changed')).toBeDefined();
    expect(ann.reopened).toBe(1);
  });

  test('that sends an endless event is cut off', async () => {
    const fake = await fakeSse();
    const ann = await connect(setUp(), sseUpstream(fake.server.url), clientOf('ann', 's1'));
    const call = ann.send(toolCall(1, 'hang', {}));
    call.catch(() => undefined);
    fake.streams[0]?.write(`data: ${'x'.repeat(17 * 1024 * 1024)}`);
    await new Promise<void>((resolve) => fake.streams[0]?.on('close', resolve));
    await expect(ann.call('echo')).resolves.toEqual({});
    expect(fake.streams).toHaveLength(2);
  });

  test('loses its connection when it is changed', async () => {
    const fake = await fakeSse();
    const channels = setUp();
    const upstream = sseUpstream(fake.server.url);
    await connect(channels, upstream, clientOf('ann', 's1'));
    const closed = new Promise<void>((resolve) => fake.streams[0]?.on('close', resolve));
    channels.forget(upstream.id);
    await closed;
    expect(fake.streams[0]?.destroyed).toBe(true);
  });
});
