import { afterEach, describe, expect, test } from 'vitest';
import type { PrincipalId, ProjectId } from '../../src/domain/ids.ts';
import type { Principal } from '../../src/domain/principal.ts';
import type { Transport, Upstream } from '../../src/domain/upstream.ts';
import { createEraBook } from '../../src/upstream/era.ts';
import { createUpstreamHealth } from '../../src/upstream/health.ts';
import { createOwnClient } from '../../src/upstream/own-client.ts';
import { createTestUpstream } from '../../src/upstream/upstream-test.ts';
import { type ChannelsOptions, channelsOf } from './channel-clients.ts';
import { serveHttp, serveTexts, upstreamOf } from './fixtures.ts';
import { httpClientOf, serveEverything } from './http-clients.ts';
import { SDK_STDIO_PROGRAM, serveSdk } from './sdk-upstream.ts';
import { fakeUpstream, gone, isAlive, silentLog } from './stdio.ts';

const cleanUps: (() => Promise<void> | void)[] = [];

afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).toReversed()) {
    await cleanUp();
  }
});

function setUp(options: ChannelsOptions = {}) {
  const { client, close: closeHttp } = httpClientOf();
  const { channels, openConnection, close } = channelsOf(client, options);
  const eras = createEraBook({ client, openConnection });
  const health = createUpstreamHealth();
  const own = createOwnClient({ channels, eras, health });
  cleanUps.push(closeHttp, close);
  return { own, health, test: createTestUpstream({ openConnection, eras, health, log: silentLog }) };
}

async function served<T extends { url: string; stop(): Promise<void> }>(starting: Promise<T>): Promise<T> {
  const server = await starting;
  cleanUps.push(server.stop);
  return server;
}

function principal(id: string): Principal {
  return {
    kind: 'user',
    id: id as PrincipalId,
    projectId: 'p' as ProjectId,
    name: 'Ann Secretname',
    scopes: new Set(['tools:call'] as const),
    grants: 'all',
    teams: [],
  };
}

const ann = principal('ann');
const http = (url: string, changes: Partial<Upstream> = {}) =>
  upstreamOf({ kind: 'streamable_http', url }, { timeoutMs: 10_000, ...changes });

function stdio(command: string, args: readonly string[], changes: Partial<Upstream> = {}): Upstream {
  const transport: Transport = {
    kind: 'stdio',
    command,
    args,
    sharing: 'per_principal',
    maxProcesses: 2,
    idleTimeoutMs: 60_000,
  };
  return upstreamOf(transport, { timeoutMs: 10_000, ...changes });
}

interface Message {
  readonly id?: number;
  readonly method?: string;
  readonly params: Readonly<Record<string, unknown>>;
}

interface Received {
  readonly method: string | undefined;
  readonly session: unknown;
  readonly version: unknown;
  readonly message: Message | undefined;
}

/** A legacy server with sessions; `answer` may take a request, else it is answered with its own params. */
async function legacyServer(
  answer: (received: Received, respond: (status: number, type: string, body: string) => void) => boolean = () => false,
) {
  const received: Received[] = [];
  const sessions = new Set<string>();
  const server = await served(
    serveTexts((request, text, response) => {
      const message = text === '' ? undefined : (JSON.parse(text) as Message);
      const { 'mcp-session-id': session, 'mcp-protocol-version': version } = request.headers;
      const entry = { method: message?.method ?? request.method, session, version, message };
      received.push(entry);
      const respond = (status: number, type: string, body: string) =>
        void response.writeHead(status, { 'content-type': type }).end(body);
      const result = (value: object) =>
        respond(200, 'application/json', JSON.stringify({ jsonrpc: '2.0', id: message?.id, result: value }));
      if (entry.method === 'server/discover') {
        respond(400, 'application/json', '{"jsonrpc":"2.0","id":null,"error":{"code":-32000,"message":"no session"}}');
      } else if (entry.method === 'initialize') {
        const id = `session-${received.filter(({ method }) => method === 'initialize').length}`;
        sessions.add(id);
        response.setHeader('mcp-session-id', id);
        result({ protocolVersion: '2025-06-18', capabilities: {}, serverInfo: { name: 'legacy', version: '3' } });
      } else if (!sessions.has(String(session))) {
        respond(
          404,
          'application/json',
          '{"jsonrpc":"2.0","id":null,"error":{"code":-32001,"message":"Session not found"}}',
        );
      } else if (request.method === 'DELETE' || message?.id === undefined || message.method === undefined) {
        respond(202, 'text/plain', '');
      } else if (!answer(entry, respond)) {
        result(message.params);
      }
    }),
  );
  const methods = () => received.map(({ method }) => method);
  return { url: server.url, received, methods, forgetSessions: () => sessions.clear() };
}

const EVERYTHING_TOOLS = expect.arrayContaining([expect.objectContaining({ name: 'echo' })]);

describe("the gateway's own calls", () => {
  test('list and call the tools of server-everything over all three transports', { timeout: 60_000 }, async () => {
    const { own } = setUp();
    const streamable = await served(serveEverything('streamableHttp'));
    const sse = await served(serveEverything('sse'));
    const upstreams = [
      http(streamable.url, { id: 'a' as Upstream['id'] }),
      upstreamOf({ kind: 'sse', url: sse.url, sharing: 'per_principal' }, { id: 'b' as Upstream['id'] }),
      stdio('mcp-server-everything', ['stdio'], { id: 'c' as Upstream['id'] }),
    ];
    for (const upstream of upstreams) {
      expect(await own.listTools(upstream, ann)).toEqual(EVERYTHING_TOOLS);
      expect(
        await own.request(upstream, ann, 'tools/call', { name: 'echo', arguments: { message: 'hi' } }),
      ).toMatchObject({
        content: [{ type: 'text', text: 'Echo: hi' }],
      });
    }
  });

  test('speak the modern era over HTTP and stdio', { timeout: 30_000 }, async () => {
    const { own } = setUp();
    const server = await served(serveSdk({ legacy: 'reject' }));
    for (const upstream of [
      http(server.url, { id: 'a' as Upstream['id'] }),
      stdio(process.execPath, [SDK_STDIO_PROGRAM, '--reject'], { id: 'b' as Upstream['id'] }),
    ]) {
      expect((await own.listTools(upstream, ann)).map(({ name }) => name)).toEqual(['echo', 'regional']);
      expect(await own.request(upstream, ann, 'tools/call', { name: 'echo', arguments: { text: 'é' } })).toMatchObject({
        content: [{ type: 'text', text: 'é' }],
      });
    }
  });

  test('repeat arguments in headers when a modern tool wants that', async () => {
    const seen: unknown[] = [];
    const server = await served(serveSdk({ legacy: 'reject' }, (headers) => seen.push(headers['mcp-param-region'])));
    const { own } = setUp();
    const result = await own.request(http(server.url), ann, 'tools/call', {
      name: 'regional',
      arguments: { region: 'Zürich' },
    });
    expect(result).toMatchObject({ content: [{ text: 'region Zürich' }] });
    expect(seen.at(-1)).toBe('=?base64?WsO8cmljaA==?=');
  });

  test('use one session for each principal and upstream, never one a call', async () => {
    const server = await legacyServer();
    const { own } = setUp();
    const upstream = http(server.url);
    await Promise.all([1, 2, 3].map(() => own.request(upstream, ann, 'tools/call', { name: 'x' })));
    await own.request(upstream, principal('bob'), 'tools/call', { name: 'x' });
    expect(server.methods().filter((method) => method === 'initialize')).toHaveLength(2);
    const calls = server.received.filter(({ method }) => method === 'tools/call');
    expect(calls.map(({ session, version }) => [session, version])).toEqual([
      ['session-1', '2025-06-18'],
      ['session-1', '2025-06-18'],
      ['session-1', '2025-06-18'],
      ['session-2', '2025-06-18'],
    ]);
    expect(JSON.stringify(server.received)).not.toContain('Secretname');
  });

  test('open a new session once when the upstream has lost it', async () => {
    const server = await legacyServer();
    const { own } = setUp();
    await own.request(http(server.url), ann, 'a', {});
    server.forgetSessions();
    expect(await own.request(http(server.url), ann, 'b', { x: 1 })).toEqual({ x: 1 });
    expect(server.methods().filter((method) => method === 'initialize')).toHaveLength(2);
  });

  test('open one new session for many calls that lost theirs at once', async () => {
    const server = await legacyServer();
    const { own } = setUp();
    await own.request(http(server.url), ann, 'a', {});
    server.forgetSessions();
    const calls = [1, 2, 3, 4].map((x) => own.request(http(server.url), ann, 'b', { x }));
    expect(await Promise.all(calls)).toEqual([{ x: 1 }, { x: 2 }, { x: 3 }, { x: 4 }]);
    expect(server.methods().filter((method) => method === 'initialize')).toHaveLength(2);
  });

  test('end the session that was not used for longest when there are too many, and idle ones', async () => {
    const server = await legacyServer();
    const { own } = setUp({ maxHttpSessions: 2, httpIdleMs: 200 });
    for (const id of ['a', 'b', 'c']) {
      await own.request(http(server.url), principal(id), 'm', {});
    }
    const deleted = () => server.received.filter(({ method }) => method === 'DELETE').map(({ session }) => session);
    await expect.poll(() => deleted()[0], { timeout: 5000 }).toBe('session-1');
    await expect.poll(deleted, { timeout: 5000 }).toHaveLength(3);
  });

  test('read an answer from an event stream and refuse what the upstream asks there', async () => {
    const server = await legacyServer(({ message }, respond) => {
      const events = [
        { jsonrpc: '2.0', id: 's1', method: 'sampling/createMessage', params: {} },
        { jsonrpc: '2.0', id: 's2', method: 'ping' },
        { jsonrpc: '2.0', method: 'notifications/message', params: {} },
        { jsonrpc: '2.0', id: message?.id, result: { ok: 'é' } },
      ];
      respond(
        200,
        'text/event-stream',
        events.map((event) => `event: message\nid: 1\ndata: ${JSON.stringify(event)}\n\n`).join(''),
      );
      return true;
    });
    const { own } = setUp();
    expect(await own.request(http(server.url), ann, 'tools/call', {})).toEqual({ ok: 'é' });
    const answers = () =>
      server.received
        .filter(({ message }) => message?.method === undefined && message !== undefined)
        .map(({ message }) => message);
    await expect.poll(answers, { timeout: 5000 }).toEqual(
      expect.arrayContaining([
        {
          jsonrpc: '2.0',
          id: 's1',
          error: { code: -32601, message: 'no connected client supports sampling/createMessage' },
        },
        { jsonrpc: '2.0', id: 's2', result: {} },
      ]),
    );
  });

  test('collect all pages of tools, and no more than 100', async () => {
    const server = await legacyServer(({ message }, respond) => {
      const page = Number(message?.params['cursor'] ?? 0);
      const result = { tools: [{ name: `t${page}` }], nextCursor: String(page + 1) };
      respond(200, 'application/json', JSON.stringify({ jsonrpc: '2.0', id: message?.id, result }));
      return true;
    });
    const tools = await setUp().own.listTools(http(server.url), ann);
    expect([tools.length, tools[0], tools[99]]).toEqual([100, { name: 't0' }, { name: 't99' }]);
  });

  test('pass on an error of the upstream with code, message and data', async () => {
    const server = await legacyServer(({ message }, respond) => {
      respond(
        200,
        'application/json',
        JSON.stringify({ jsonrpc: '2.0', id: message?.id, error: { code: -32602, message: 'bad', data: { a: 1 } } }),
      );
      return true;
    });
    const { own, health } = setUp();
    const upstream = http(server.url);
    await expect(own.request(upstream, ann, 'm', {})).rejects.toMatchObject({
      name: 'UpstreamRpcError',
      code: -32602,
      message: 'bad',
      data: { a: 1 },
    });
    expect(health.isHealthy(upstream.id)).toBe(true);
  });

  test('that get no valid answer are a bad gateway, and the upstream is unhealthy until one succeeds', async () => {
    let isBroken = true;
    const server = await legacyServer((_received, respond) => {
      if (isBroken) {
        respond(500, 'text/html', '<h1>oops</h1>');
      }
      return isBroken;
    });
    const { own, health } = setUp();
    const upstream = http(server.url);
    await expect(own.request(upstream, ann, 'm', {})).rejects.toMatchObject({
      reason: 'bad_gateway',
      message:
        'The answer of the upstream "demo" has HTTP status 500. Check its log, and that its URL is its MCP endpoint.',
    });
    expect(health.isHealthy(upstream.id)).toBe(false);
    isBroken = false;
    await own.request(upstream, ann, 'm', {});
    expect(health.isHealthy(upstream.id)).toBe(true);
  });

  test('end with their signal and tell the upstream', async () => {
    const server = await legacyServer(({ method }) => method === 'slow');
    const { own, health } = setUp();
    const aborted = new AbortController();
    const call = own.request(http(server.url), ann, 'slow', {}, { signal: aborted.signal });
    const failed = call.catch((error: unknown) => error);
    await expect.poll(server.methods, { timeout: 5000 }).toContain('slow');
    aborted.abort();
    expect(await failed).toMatchObject({ reason: 'canceled' });
    await expect.poll(server.methods, { timeout: 5000 }).toContain('notifications/cancelled');
    expect(health.isHealthy('upstream-1')).toBe(true);
  });
});

test('an own call that is cancelled while its session is opened ends at once', async () => {
  const server = await served(
    serveTexts((_request, text, response) => {
      if (!text.includes('"initialize"')) {
        response.writeHead(400).end();
      }
    }),
  );
  const { own } = setUp();
  const aborted = new AbortController();
  const call = own.request(http(server.url), ann, 'm', {}, { signal: aborted.signal });
  setTimeout(() => aborted.abort(), 200);
  await expect(call).rejects.toMatchObject({ reason: 'canceled' });
});

describe('the test of an upstream', () => {
  test('says what works, and leaves no session', async () => {
    const server = await legacyServer();
    const result = await setUp().test(http(server.url));
    expect(result).toEqual({
      ok: true,
      status: 200,
      latencyMs: expect.any(Number),
      message: 'Works: legacy 3, revision 2025-06-18.',
    });
    await expect.poll(server.methods, { timeout: 5000 }).toContain('DELETE');
  });

  test('says what a modern upstream is', async () => {
    const server = await served(serveSdk({ legacy: 'reject' }));
    expect(await setUp().test(http(server.url))).toMatchObject({
      ok: true,
      status: 200,
      message: 'Works: sdk fixture 2.0.0, revision 2026-07-28.',
    });
  });

  test('starts a process of its own and hints at replicas', { timeout: 15_000 }, async () => {
    const { test: testUpstream, own } = setUp();
    const upstream = fakeUpstream({ maxProcesses: 1 });
    const { pid } = (await own.request(upstream, ann, 'tools/call', { name: 'pid' })) as { pid: number };
    const result = await testUpstream(upstream);
    expect(result).toMatchObject({ ok: true, status: 0 });
    expect(result.message).toContain(
      'Works: fake 1, revision 2025-11-25. Its sessions live in the process that one replica holds',
    );
    const again = (await own.request(upstream, ann, 'tools/call', { name: 'pid' })) as { pid: number };
    expect(again.pid).toBe(pid);
  });

  test.each([
    [
      401,
      `The upstream "demo" refused the gateway's credentials (HTTP 401). An operator can set new ones with UpdateUpstream.`,
    ],
    [
      404,
      'The answer of the upstream "demo" has HTTP status 404. Check its log, and that its URL is its MCP endpoint.',
    ],
    [
      500,
      'The answer of the upstream "demo" has HTTP status 500. Check its log, and that its URL is its MCP endpoint.',
    ],
  ])('says what to do about HTTP %i', async (status, message) => {
    const server = await served(serveHttp((_request, response) => void response.writeHead(status).end()));
    const { test: testUpstream, health } = setUp();
    expect(await testUpstream(http(server.url))).toMatchObject({
      ok: false,
      status,
      message,
    });
    expect(health.isHealthy('upstream-1')).toBe(false);
  });

  test('says what to do about an upstream that cannot be reached, whatever its transport', async () => {
    const down = await serveHttp(() => undefined);
    await down.stop();
    const { test: testUpstream } = setUp();
    const results = [
      await testUpstream(http(down.url)),
      await testUpstream(upstreamOf({ kind: 'sse', url: down.url, sharing: 'per_principal' })),
      await testUpstream(fakeUpstream({ args: ['--refuse'] })),
      await testUpstream(fakeUpstream({ command: '/bin/sh' })),
    ];
    expect(results.map(({ ok, status }) => [ok, status])).toEqual([
      [false, 0],
      [false, 0],
      [false, 0],
      [false, 0],
    ]);
    expect(results.map(({ message }) => message)).toEqual([
      expect.stringContaining('refused the connection. Check that it is running'),
      expect.stringContaining('refused the connection. Check that it is running'),
      expect.stringContaining('exited with code 1: cannot read /etc/token'),
      expect.stringContaining('GATEWAY_STDIO_COMMANDS'),
    ]);
  });
});

test('the process of an own call ends with the channels', async () => {
  const { own } = setUp();
  const { pid } = (await own.request(fakeUpstream(), ann, 'tools/call', { name: 'pid' })) as { pid: number };
  for (const cleanUp of cleanUps.splice(0).toReversed()) {
    await cleanUp();
  }
  await gone(pid);
  expect(isAlive(pid)).toBe(false);
});
