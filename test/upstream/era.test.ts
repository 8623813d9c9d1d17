import type { ServerResponse } from 'node:http';
import { afterEach, describe, expect, test } from 'vitest';
import type { Transport, Upstream } from '../../src/domain/upstream.ts';
import { createEraBook } from '../../src/upstream/era.ts';
import { channelsOf } from './channel-clients.ts';
import { serveHttp, serveTexts, upstreamOf } from './fixtures.ts';
import { httpClientOf, serveEverything } from './http-clients.ts';
import { SDK_STDIO_PROGRAM, serveSdk } from './sdk-upstream.ts';
import { fakeUpstream } from './stdio.ts';

const cleanUps: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).toReversed()) {
    await cleanUp();
  }
});

function setUp(now?: () => number) {
  const http = httpClientOf();
  const { openConnection, close } = channelsOf(http.client);
  cleanUps.push(http.close, close);
  return createEraBook({ client: http.client, openConnection, ...(now === undefined ? {} : { now }) });
}

async function served<T extends { url: string; stop(): Promise<void> }>(starting: Promise<T>): Promise<T> {
  const server = await starting;
  cleanUps.push(server.stop);
  return server;
}

/** A server that answers everything in one way, and counts. */
async function answering(answer: (response: ServerResponse) => void) {
  let count = 0;
  const server = await served(
    serveHttp((request, response) => {
      count++;
      request.resume();
      answer(response);
    }),
  );
  return { url: server.url, count: () => count };
}

function json(status: number, body: object) {
  return (response: ServerResponse) =>
    void response
      .writeHead(status, { 'content-type': 'application/json' })
      .end(JSON.stringify({ jsonrpc: '2.0', ...body }));
}

const http = (url: string, changes: Partial<Upstream> = {}) => upstreamOf({ kind: 'streamable_http', url }, changes);

function stdio(args: readonly string[]): Upstream {
  const transport: Transport = {
    kind: 'stdio',
    command: process.execPath,
    args,
    sharing: 'per_principal',
    maxProcesses: 1,
    idleTimeoutMs: 1000,
  };
  return upstreamOf(transport);
}

describe('the era of an upstream', () => {
  test('that the operator set is not asked for', async () => {
    const book = setUp();
    const modern = http('http://127.0.0.1:1/mcp', { era: 'modern' });
    const legacy = http('http://127.0.0.1:1/mcp', { era: 'legacy' });
    expect(await book.probe(modern)).toEqual({ modern: true, legacy: false });
    expect(await book.probe(legacy)).toEqual({ modern: false, legacy: true });
    book.learn(legacy, { modern: true });
    expect(book.erasOf(legacy)).toEqual({ modern: false, legacy: true });
  });

  test('with two-endpoint SSE is always legacy', () => {
    const sse = upstreamOf({ kind: 'sse', url: 'http://127.0.0.1:1/sse', sharing: 'per_principal' });
    expect(setUp().erasOf(sse)).toEqual({ modern: false, legacy: true });
  });

  test('is modern for a server of the official SDK, over HTTP and over stdio', { timeout: 20_000 }, async () => {
    const headers: Record<string, unknown>[] = [];
    const server = await served(serveSdk({}, (received) => headers.push(received)));
    const book = setUp();
    expect(book.erasOf(http(server.url))).toEqual({ modern: undefined, legacy: undefined });
    expect(await book.probe(http(server.url))).toEqual({ modern: true, legacy: true });
    expect(headers[0]).toMatchObject({ 'mcp-protocol-version': '2026-07-28', 'mcp-method': 'server/discover' });
    expect(book.erasOf(http(server.url))).toEqual({ modern: true, legacy: true });
    expect(await setUp().probe(stdio([SDK_STDIO_PROGRAM]))).toEqual({ modern: true, legacy: undefined });
  });

  test('of a modern server that refuses sessions is modern only', async () => {
    const server = await served(serveSdk({ legacy: 'reject' }));
    expect(await setUp().probe(http(server.url))).toEqual({ modern: true, legacy: false });
  });

  test('of a modern server is found out without leaving a session', async () => {
    const ended: unknown[] = [];
    const server = await served(
      serveTexts((request, text, response) => {
        response.setHeader('content-type', 'application/json');
        if (request.method === 'DELETE') {
          ended.push(request.headers['mcp-session-id']);
          response.end();
          return;
        }
        const { id, method } = JSON.parse(text);
        response.setHeader('mcp-session-id', 's1');
        const result =
          method === 'initialize' ? { protocolVersion: '2025-11-25' } : { supportedVersions: ['2026-07-28'] };
        response.end(JSON.stringify({ jsonrpc: '2.0', id, result }));
      }),
    );
    expect(await setUp().probe(http(server.url))).toEqual({ modern: true, legacy: true });
    await expect.poll(() => ended, { timeout: 5000 }).toEqual(['s1']);
  });

  test('is legacy for server-everything, over HTTP and over stdio', { timeout: 30_000 }, async () => {
    const server = await served(serveEverything('streamableHttp'));
    expect(await setUp().probe(http(server.url))).toEqual({ modern: false, legacy: true });
    const everything = upstreamOf({
      kind: 'stdio',
      command: 'mcp-server-everything',
      args: ['stdio'],
      sharing: 'per_principal',
      maxProcesses: 1,
      idleTimeoutMs: 1000,
    });
    expect(await setUp().probe(everything)).toEqual({ modern: false, legacy: true });
  });

  test.each([
    [
      'a discovery on an event stream',
      'modern',
      (response: ServerResponse) => {
        const result = { supportedVersions: ['2026-07-28'] };
        response.writeHead(200, { 'content-type': 'text/event-stream' });
        response.end(`: hi\n\ndata: ${JSON.stringify({ jsonrpc: '2.0', id: 'discover', result })}\n\n`);
      },
    ],
    [
      'a version refused in favour of a later one',
      'modern',
      json(400, { id: 'discover', error: { code: -32022, message: 'no', data: { supported: ['2027-01-01'] } } }),
    ],
    [
      'a version refused in favour of older ones',
      'legacy',
      json(400, { id: null, error: { code: -32022, message: 'no', data: { supported: ['2025-11-25'] } } }),
    ],
    ['an unknown method', 'legacy', json(404, { id: 'discover', error: { code: -32601, message: 'no' } })],
    ['HTTP 500', 'legacy', (response: ServerResponse) => void response.writeHead(500).end('oops')],
    [
      'a web page',
      'legacy',
      (response: ServerResponse) => void response.writeHead(200, { 'content-type': 'text/html' }).end('<html>'),
    ],
    ['a discovery of nothing', 'legacy', json(200, { id: 'discover', result: { supportedVersions: 'none' } })],
  ])('of one that answers with %s is %s, and asked for once', async (_name, era, answer) => {
    const server = await answering(answer);
    const book = setUp();
    const [first, second] = await Promise.all([book.probe(http(server.url)), book.probe(http(server.url))]);
    expect(first.modern).toBe(era === 'modern');
    expect(second).toEqual(first);
    expect(await book.probe(http(server.url))).toEqual(first);
    // A modern one is also asked whether it takes sessions.
    expect(server.count()).toBe(era === 'modern' ? 2 : 1);
  });

  test('that speaks both by its own word is both', async () => {
    const server = await answering(
      json(200, { id: 'discover', result: { supportedVersions: ['2025-11-25', '2026-07-28'] } }),
    );
    expect(await setUp().probe(http(server.url))).toEqual({ modern: true, legacy: true });
  });

  test('is not concluded from a proxy, nor from silence of the network', async () => {
    const server = await answering((response) => void response.writeHead(503).end());
    const book = setUp();
    await book.probe(http(server.url));
    expect(book.erasOf(http(server.url))).toEqual({ modern: undefined, legacy: undefined });
    const down = await serveHttp(() => undefined);
    await down.stop();
    const unreachable = http(down.url, { id: 'unreachable' as Upstream['id'] });
    await expect(book.probe(unreachable)).rejects.toMatchObject({ reason: 'bad_gateway' });
    expect(book.erasOf(unreachable)).toEqual({ modern: undefined, legacy: undefined });
  });

  test('is asked for again after a failure, a change, and some time for what was not modern', async () => {
    const server = await answering((response) => void response.writeHead(404).end());
    let time = 0;
    const book = setUp(() => time);
    const upstream = http(server.url);
    await book.probe(upstream);
    book.forget(upstream.id);
    await book.probe(upstream);
    await book.probe({ ...upstream, revision: 2 });
    time = 10 * 60_000 + 1;
    await book.probe({ ...upstream, revision: 2 });
    expect(server.count()).toBe(4);
  });

  test('is learned from exchanges', () => {
    const book = setUp();
    const upstream = http('http://127.0.0.1:1/mcp');
    book.learn(upstream, { modern: true });
    book.learn(upstream, { legacy: false });
    expect(book.erasOf(upstream)).toEqual({ modern: true, legacy: false });
  });

  test('of a process that cannot be started is unknown', async () => {
    const book = setUp();
    await expect(book.probe(fakeUpstream({ args: ['--refuse'] }))).rejects.toMatchObject({ reason: 'bad_gateway' });
    await expect(book.probe(fakeUpstream({ command: 'no-such-command' }))).rejects.toMatchObject({
      reason: 'bad_gateway',
    });
    expect(book.erasOf(fakeUpstream())).toEqual({ modern: undefined, legacy: undefined });
  });

  test('of a process that does not answer is legacy', { timeout: 15_000 }, async () => {
    const silent = stdio(['-e', 'process.stdin.resume()']);
    expect(await setUp().probe(silent)).toEqual({ modern: false, legacy: true });
  });
});
