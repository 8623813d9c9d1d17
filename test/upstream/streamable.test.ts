import type { IncomingHttpHeaders } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, describe, expect, test } from 'vitest';
import type { GatewayError } from '../../src/domain/errors.ts';
import type { Upstream } from '../../src/domain/upstream.ts';
import { createCredentials } from '../../src/upstream/credentials.ts';
import { createNetworkGuard } from '../../src/upstream/network-guard.ts';
import { createUpstreamPools, type UpstreamPools, type UpstreamPoolsOptions } from '../../src/upstream/pools.ts';
import { createStreamableClient, type Exchange, type ExchangeRequest } from '../../src/upstream/streamable.ts';
import { type Listening, serveHttp, serveTcp, upstreamOf } from './fixtures.ts';

const opened: Listening[] = [];
const pooled: UpstreamPools[] = [];

afterEach(async () => {
  await Promise.all(pooled.splice(0).map((pools) => pools.close()));
  await Promise.all(opened.splice(0).map((server) => server.stop()));
});

function started(server: Listening): Listening {
  opened.push(server);
  return server;
}

function clientOf(options: Partial<UpstreamPoolsOptions> = {}) {
  const pools = createUpstreamPools({ guard: createNetworkGuard(['loopback']), ...options });
  pooled.push(pools);
  return { pools, client: createStreamableClient({ pools, credentials: createCredentials({ open: async (s) => s }) }) };
}

interface Answer {
  status?: number;
  headers?: IncomingHttpHeaders;
  text: string;
  error?: GatewayError;
}

/** Runs one exchange to its end. */
function answerOf(
  upstream: Upstream,
  request: ExchangeRequest,
  options?: Partial<UpstreamPoolsOptions>,
): Promise<Answer> {
  return collect(clientOf(options).client, upstream, request).done;
}

function collect(client: ReturnType<typeof clientOf>['client'], upstream: Upstream, request: ExchangeRequest) {
  const answer: Answer = { text: '' };
  let exchange: Exchange | undefined;
  const done = new Promise<Answer>((resolve) => {
    exchange = client.exchange(upstream, request, {
      onResponse(status, headers) {
        answer.status = status;
        answer.headers = headers;
      },
      onData(chunk) {
        answer.text += chunk.toString();
        return true;
      },
      onEnd: () => resolve(answer),
      onError(error) {
        answer.error = error;
        resolve(answer);
      },
    });
  });
  return { done, answer, exchange: exchange as Exchange };
}

const post: ExchangeRequest = {
  method: 'POST',
  headers: { 'content-type': 'application/json' },
  body: Buffer.from('{}'),
};

function httpUpstream(url: string, changes: Partial<Upstream> = {}): Upstream {
  return upstreamOf({ kind: 'streamable_http', url }, changes);
}

describe('an exchange with a streamable HTTP upstream', () => {
  test('sends the bytes, the headers and the credentials, and hands back status, headers and bytes', async () => {
    const server = started(
      await serveHttp((request, response) => {
        const { authorization, 'x-tenant': tenant, 'mcp-session-id': session } = request.headers;
        let body = '';
        request.on('data', (chunk) => {
          body += chunk;
        });
        request.on('end', () => {
          response.writeHead(202, { 'content-type': 'application/json', 'mcp-session-id': 's2' });
          response.end(
            JSON.stringify({ url: request.url, method: request.method, authorization, tenant, session, body }),
          );
        });
      }),
    );
    const upstream = httpUpstream(`${server.url}?team=a`, {
      auth: { kind: 'bearer' },
      sealedSecrets: JSON.stringify({ bearerToken: 'up', headers: { 'x-tenant': 'acme' } }),
    });
    const answer = await answerOf(upstream, {
      method: 'POST',
      headers: { 'mcp-session-id': 's1', authorization: 'Bearer client' },
      body: Buffer.from('{"é":1}'),
    });
    expect(answer.status).toBe(202);
    expect(answer.headers?.['mcp-session-id']).toBe('s2');
    expect(JSON.parse(answer.text)).toEqual({
      url: '/mcp?team=a',
      method: 'POST',
      authorization: 'Bearer up',
      tenant: 'acme',
      session: 's1',
      body: '{"é":1}',
    });
  });

  test('uses its connections again', async () => {
    const ports = new Set<number | undefined>();
    const server = started(
      await serveHttp((request, response) => {
        ports.add(request.socket.remotePort);
        response.end('ok');
      }),
    );
    const { client } = clientOf();
    for (let call = 0; call < 20; call++) {
      expect((await collect(client, httpUpstream(server.url), post).done).text).toBe('ok');
    }
    expect(ports.size).toBeLessThanOrEqual(2);
  });

  test('pauses the upstream while the sink is full and goes on without loss', async () => {
    const size = 8 * 1024 * 1024;
    const server = started(await serveHttp((_request, response) => response.end(Buffer.alloc(size, 'x'))));
    const { client } = clientOf();
    let received = 0;
    let calls = 0;
    await new Promise<void>((resolve, reject) => {
      const exchange = client.exchange(httpUpstream(server.url), post, {
        onResponse: () => undefined,
        onData(chunk) {
          received += chunk.length;
          calls++;
          setImmediate(() => exchange.resume());
          return false;
        },
        onEnd: resolve,
        onError: reject,
      });
    });
    expect(received).toBe(size);
    expect(calls).toBeGreaterThan(10);
  });

  test('reports nothing after an abort and closes the connection', async () => {
    const closed = Promise.withResolvers<void>();
    const server = started(
      await serveHttp((request, response) => {
        request.socket.on('close', () => closed.resolve());
        response.writeHead(200, { 'content-type': 'text/event-stream' });
        response.write('data: 1\n\n');
      }),
    );
    const { client, pools } = clientOf();
    const upstream = httpUpstream(server.url);
    const first = Promise.withResolvers<void>();
    const reports: string[] = [];
    const exchange = client.exchange(upstream, post, {
      onResponse: () => undefined,
      onData() {
        first.resolve();
        return true;
      },
      onEnd: () => reports.push('end'),
      onError: (error) => reports.push(error.message),
    });
    await first.promise;
    exchange.abort();
    exchange.abort();
    await closed.promise;
    await delay(20);
    expect(reports).toEqual([]);
    expect(pools.targetOf(upstream).active).toBe(0);
  });

  test('that failed at once and is aborted before that was told reports nothing', async () => {
    const { client } = clientOf({ maxConnections: 0 });
    const { exchange, answer } = collect(client, httpUpstream('http://127.0.0.1:1/mcp'), post);
    exchange.abort();
    await delay(20);
    expect(answer).toEqual({ text: '' });
  });

  test('aborted before it was sent is never sent', async () => {
    let calls = 0;
    const server = started(
      await serveHttp((_request, response) => {
        calls++;
        response.end('ok');
      }),
    );
    const { client } = clientOf();
    const upstream = httpUpstream(server.url);
    collect(client, upstream, post).exchange.abort();
    collect(client, upstream, { method: 'GET', headers: {} }).exchange.abort();
    expect((await collect(client, upstream, post).done).text).toBe('ok');
    expect(calls).toBe(1);
  });

  test('an upstream that is down is a bad gateway that names the slug and hides the URL', async () => {
    const server = await serveHttp(() => undefined);
    await server.stop();
    const { error } = await answerOf(httpUpstream(`http://me:hunter2@127.0.0.1:${server.port}/mcp?key=s3cret`), post);
    expect(error?.reason).toBe('bad_gateway');
    expect(error?.message).toBe(
      'The upstream "demo" refused the connection. Check that it is running and that its URL has the right host and port.',
    );
  });

  test('a host name that does not exist is a bad gateway', async () => {
    const { error } = await answerOf(httpUpstream('http://no-such-host.invalid/mcp'), post);
    expect(error?.reason).toBe('bad_gateway');
    expect(error?.message).toContain('host name that could not be resolved');
  });

  test('an address that is not allowed is refused, as a literal and as the answer for a name', async () => {
    const server = started(await serveHttp((_request, response) => response.end('secret')));
    for (const host of ['127.0.0.1', 'localhost', '[::1]', '[::ffff:127.0.0.1]', '0x7f000001']) {
      const { error, text } = await answerOf(httpUpstream(`http://${host}:${server.port}/mcp`), post, {
        guard: createNetworkGuard([]),
      });
      expect(text).toBe('');
      expect([host, error?.reason]).toEqual([host, 'bad_gateway']);
      expect(error?.message).toContain('GATEWAY_UPSTREAM_NETWORKS');
    }
    const allowed = await answerOf(httpUpstream(`http://localhost:${server.port}/mcp`), post);
    expect(allowed.text).toBe('secret');
  });

  test('a redirect is not followed', async () => {
    let followed = false;
    const target = started(
      await serveHttp((_request, response) => {
        followed = true;
        response.end();
      }),
    );
    const server = started(
      await serveHttp((_request, response) => response.writeHead(307, { location: target.url }).end()),
    );
    const { error, status } = await answerOf(httpUpstream(server.url), post);
    expect(status).toBeUndefined();
    expect(error?.reason).toBe('bad_gateway');
    expect(error?.message).toContain('redirect (307)');
    expect(followed).toBe(false);
  });

  test('silence before the head is a timeout', async () => {
    const server = started(await serveHttp(() => undefined));
    const { error } = await answerOf(httpUpstream(server.url, { timeoutMs: 300 }), post);
    expect(error?.reason).toBe('upstream_timeout');
    expect(error?.message).toContain('The upstream "demo" sent nothing for 0.3 s.');
  });

  test('silence in the middle of an answer is a timeout, but not in a stream that may be silent', async () => {
    const server = started(
      await serveHttp((_request, response) => {
        response.writeHead(200, { 'content-type': 'text/event-stream' });
        response.write(':\n\n');
        setTimeout(() => response.end('data: late\n\n'), 1500);
      }),
    );
    const upstream = httpUpstream(server.url, { timeoutMs: 300 });
    const [call, stream, listen] = await Promise.all([
      answerOf(upstream, post),
      answerOf(upstream, { method: 'GET', headers: { accept: 'text/event-stream' } }),
      answerOf(upstream, { ...post, longLived: true }),
    ]);
    expect(call.error?.reason).toBe('upstream_timeout');
    expect(stream.text).toBe(':\n\ndata: late\n\n');
    expect(listen.text).toBe(':\n\ndata: late\n\n');
  });

  test.each([
    ['garbage', 'SSH-2.0-OpenSSH_9.6\r\n'],
    ['a broken chunk', 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\n'],
    ['a huge header', `HTTP/1.1 200 OK\r\nx-a: ${'a'.repeat(70_000)}\r\n\r\n`],
  ])('%s is a bad gateway', async (_name, bytes) => {
    const server = started(await serveTcp((socket) => socket.once('data', () => socket.write(bytes))));
    const { error } = await answerOf(httpUpstream(server.url), post);
    expect(error?.reason).toBe('bad_gateway');
    expect(error?.message).toContain('did not answer with valid HTTP');
  });

  test.each([
    ['at once', ''],
    ['in its head', 'HTTP/1.1 200 OK\r\nconten'],
    ['in its body', 'HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{"a"'],
    ['in its stream', 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\ndata\r\n'],
  ])('a connection closed %s is a bad gateway', async (_name, bytes) => {
    const server = started(await serveTcp((socket) => socket.once('data', () => socket.end(bytes))));
    const { error } = await answerOf(httpUpstream(server.url), post);
    expect(error?.reason).toBe('bad_gateway');
    expect(error?.message).toContain('closed the connection');
  });

  test('an interim response is not the answer', async () => {
    const server = started(
      await serveTcp((socket) =>
        socket.once('data', () =>
          socket.write('HTTP/1.1 103 Early Hints\r\nx-a: 1\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok'),
        ),
      ),
    );
    const statuses: number[] = [];
    const { client } = clientOf();
    await new Promise<void>((resolve, reject) => {
      client.exchange(httpUpstream(server.url), post, {
        onResponse: (status) => statuses.push(status),
        onData: () => true,
        onEnd: resolve,
        onError: reject,
      });
    });
    expect(statuses).toEqual([200]);
  });

  test('more calls at once than the upstream may have are refused, and streams do not count', async () => {
    const held: (() => void)[] = [];
    const arrived = Promise.withResolvers<void>();
    const server = started(
      await serveHttp((_request, response) => {
        held.push(() => response.end('ok'));
        if (held.length === 4) {
          arrived.resolve();
        }
      }),
    );
    const { client } = clientOf({ maxConnections: 2 });
    const upstream = httpUpstream(server.url);
    const streams = [1, 2].map(() => collect(client, upstream, { method: 'GET', headers: {} }));
    const calls = [1, 2].map(() => collect(client, upstream, post));
    const refused = await collect(client, upstream, post).done;
    expect(refused.error?.reason).toBe('unavailable');
    await arrived.promise;
    for (const release of held) {
      release();
    }
    const answers = await Promise.all([...streams, ...calls].map(({ done }) => done));
    expect(answers.map(({ text }) => text)).toEqual(['ok', 'ok', 'ok', 'ok']);
  });

  test('a changed upstream is called at its new address, and calls on the way end at the old one', async () => {
    const release = Promise.withResolvers<void>();
    const reached = Promise.withResolvers<void>();
    const old = started(
      await serveHttp((_request, response) => {
        reached.resolve();
        void release.promise.then(() => response.end('old'));
      }),
    );
    const fresh = started(await serveHttp((_request, response) => response.end('new')));
    const { client } = clientOf();
    const slow = collect(client, httpUpstream(old.url), post);
    await reached.promise;
    const moved = httpUpstream(fresh.url, { revision: 2 });
    expect((await collect(client, moved, post).done).text).toBe('new');
    release.resolve();
    expect((await slow.done).text).toBe('old');
  });

  test('credentials that cannot be opened fail the exchange', async () => {
    const { error } = await answerOf(
      httpUpstream('http://127.0.0.1:1/mcp', { auth: { kind: 'bearer' }, sealedSecrets: 'not json' }),
      post,
    );
    expect(error?.reason).toBe('internal');
  });

  test('closing the pools fails what is on its way', async () => {
    const reached = Promise.withResolvers<void>();
    const server = started(await serveHttp(() => reached.resolve()));
    const { client, pools } = clientOf();
    const call = collect(client, httpUpstream(server.url), post);
    await reached.promise;
    await pools.close();
    expect((await call.done).error?.reason).toBe('unavailable');
  });
});
