import { mkdtemp, rm, stat } from 'node:fs/promises';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { Era } from '../../gen/portcullis/v1/upstream_pb.ts';
import { UpstreamService } from '../../gen/portcullis/v1/upstream_service_pb.ts';
import { formApiKey } from '../../src/config/api-key-form.ts';
import { type GatewayProcess, startGateway } from '../support/gateway-process.ts';
import { type Answer, openSocket, send } from './bad-http-client.ts';
import { GOOD_CALL, mcpHeaders } from './bad-installation.ts';
import { startBadUpstream } from './bad-upstream-server.ts';
import { apiOf, streamableHttp } from './support-api.ts';
import { startRecordingUpstream } from './support-recording-upstream.ts';

let dataDir: string;
let running: GatewayProcess[];

beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'portcullis-first-run-'));
  running = [];
});

afterEach(async () => {
  await Promise.all(running.filter(({ process }) => process.exitCode === null).map((gateway) => gateway.kill()));
  await rm(dataDir, { recursive: true, force: true });
});

/** A start on the test's data folder as `npm start` does it: nothing is given, so password and key are made up. */
async function start(env: Record<string, string> = {}): Promise<GatewayProcess> {
  const given = { GATEWAY_BOOTSTRAP_API_KEY: '', GATEWAY_ADMIN_PASSWORD: '', ...env };
  const gateway = await startGateway({ dataDir, env: given });
  running.push(gateway);
  return gateway;
}

/** What the first start printed. */
function printedBy(gateway: GatewayProcess) {
  const found = /\n {2}user {6}(\S+)\n {2}password {2}(\S+)\n {2}API key {3}(\S+)\n/.exec(gateway.output());
  const [, user = '', password = '', apiKey = ''] = found ?? [];
  return { user, password, apiKey };
}

function call(port: number, slug: string, apiKey: string, body: string, headers: Record<string, string> = {}) {
  return send(port, { path: `/v1/mcp/${slug}`, headers: mcpHeaders(apiKey, headers), body });
}

/** Resolves with the message of a start that fails. */
function failureOf(env: Record<string, string>): Promise<string> {
  return start(env).then(
    () => 'it started',
    (error: Error) => error.message,
  );
}

const INITIALIZE =
  '{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"curl","version":"1"}}}';

describe('the first start', () => {
  test('[MS-PRINTED-ONCE] prints user, password and key once; they work; the second start prints no secret', async () => {
    const first = await start();
    const { user, password, apiKey } = printedBy(first);
    expect(user).toBe('admin');
    expect(password.length).toBeGreaterThanOrEqual(20);
    expect(apiKey).toMatch(/^pc_[0-9A-Za-z]{49}$/);
    expect(first.output().split(password)).toHaveLength(2);
    expect(first.output().split(apiKey)).toHaveLength(2);
    const login = (port: number) =>
      send(port, {
        path: '/portcullis.v1.AuthService/Login',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ username: user, password }),
      });
    expect((await login(first.port)).status).toBe(200);
    expect(await first.stop()).toBe(0);

    const second = await start();
    expect((await login(second.port)).status).toBe(200);
    expect((await call(second.port, 'no-such', apiKey, GOOD_CALL)).status).toBe(404);
    expect(second.output()).not.toContain('First start');
    expect(second.output()).not.toContain(password);
    expect(second.output()).not.toContain(apiKey);
    expect((await stat(join(dataDir, 'secret.key'))).mode & 0o777).toBe(0o600);
  });

  test('[MS-DEMO] a client with the printed key lists and calls a tool of the demo upstream', async () => {
    const gateway = await start();
    const { apiKey } = printedBy(gateway);
    const opened = await call(gateway.port, 'everything', apiKey, INITIALIZE);
    const session = { 'mcp-session-id': String(opened.headers['mcp-session-id']) };
    const tell = '{"jsonrpc":"2.0","method":"notifications/initialized"}';
    expect((await call(gateway.port, 'everything', apiKey, tell, session)).status).toBe(202);

    const list = '{"jsonrpc":"2.0","id":2,"method":"tools/list"}';
    const listed = await call(gateway.port, 'everything', apiKey, list, session);
    expect(JSON.parse(jsonOf(listed)).result.tools.map(({ name }: { name: string }) => name)).toContain('echo');
    const echo =
      '{"jsonrpc":"2.0","id":"e","method":"tools/call","params":{"name":"echo","arguments":{"message":"hello"}}}';
    const called = await call(gateway.port, 'everything', apiKey, echo, session);
    expect(JSON.parse(jsonOf(called))).toEqual({
      jsonrpc: '2.0',
      id: 'e',
      result: { content: [{ type: 'text', text: 'Echo: hello' }] },
    });
    expect(await gateway.stop()).toBe(0);
  });

  test('[MS-DENIED] a denied tool is answered with -32001, in the modern era -31001, and the upstream never sees it', async () => {
    const recorder = await startRecordingUpstream();
    const gateway = await start();
    const { apiKey } = printedBy(gateway);
    await apiOf({ ...gateway, apiKey }, UpstreamService).createUpstream({
      slug: 'guarded',
      transport: streamableHttp(recorder.url),
      toolFilter: { deniedTools: ['break'] },
    });
    const body = '{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"break","arguments":{}}}';
    const legacy = await call(gateway.port, 'guarded', apiKey, body);
    const meta =
      '"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}';
    const headers = { 'mcp-protocol-version': '2026-07-28', 'mcp-method': 'tools/call', 'mcp-name': 'break' };
    const modern = await call(gateway.port, 'guarded', apiKey, body.replace('{}', `{},${meta}`), headers);
    for (const [answer, code] of [
      [legacy, -32001],
      [modern, -31001],
    ] as const) {
      expect(answer.status).toBe(200);
      const data = { call_id: expect.any(String), reason: 'tool_filter', rule_ids: [] };
      const message = "The tool filter of the upstream 'guarded' denies 'break'.";
      expect(JSON.parse(answer.text)).toEqual({ jsonrpc: '2.0', id: 7, error: { code, message, data } });
    }
    expect(recorder.calls).toEqual([]);
    await gateway.stop();
    await recorder.stop();
  });
});

describe('a start that cannot be', () => {
  test('[CF-BAD-SETTINGS] lists every bad setting in one message, ends with code 1, and repeats no value', async () => {
    const values = {
      GATEWAY_PORT: '80000',
      GATEWAY_DATABASE_URL: 'mysql://root:Gr3at-Secret@db/x',
      GATEWAY_SECRET_KEY: 'hunter2-hunter2',
      GATEWAY_ADMIN_PASSWORD: 'short-pw',
      GATEWAY_BOOTSTRAP_API_KEY: 'pc_aaaaaaaaaaaaaaaaaaaa',
      GATEWAY_AUTH_ENABLED: 'perhaps',
      GATEWAY_CORS_ORIGINS: 'console.internal',
      GATEWAY_UPSTREAM_NETWORKS: 'lan',
      GATEWAY_LOG_LEVEL: 'loud',
    };
    const message = await failureOf(values);
    expect(message).toContain('the gateway ended with code 1:\n');
    expect(message).toContain('The configuration has 9 bad settings:');
    for (const [name, value] of Object.entries(values)) {
      expect(message).toContain(`\n  ${name} `);
      expect(message).not.toContain(value);
    }
    expect(message).not.toContain('Gr3at-Secret');
    expect(message).not.toMatch(/\n\s+at /);
  });

  test('[CF-NO-OPEN-DOOR] no authentication is refused for an address that others can reach', async () => {
    const message = await failureOf({ GATEWAY_AUTH_ENABLED: 'false', GATEWAY_HOST: '0.0.0.0' });
    expect(message).toContain('the gateway ended with code 1:\n');
    expect(message).toContain(
      'GATEWAY_AUTH_ENABLED can be false only while GATEWAY_HOST is a loopback address such as 127.0.0.1',
    );
  });

  test('[CF-WEAK-KEY] a weak bootstrap key of the right form is refused', async () => {
    const weak = formApiKey(new Uint8Array(32));
    const message = await failureOf({ GATEWAY_BOOTSTRAP_API_KEY: weak });
    expect(message).toContain('GATEWAY_BOOTSTRAP_API_KEY is too easy to guess');
    expect(message).not.toContain(weak);
  });

  test('[ST-ONE-PROCESS] a second process on the same data folder is refused, and the first goes on', async () => {
    const gateway = await start();
    const message = await failureOf({});
    expect(message).toContain('the gateway ended with code 1:\n');
    expect(message).toContain(`Another Portcullis process uses the data folder ${dataDir}.`);
    expect((await send(gateway.port, { method: 'GET', path: '/readyz' })).status).toBe(200);
    await gateway.kill();
    expect((await start()).output()).not.toContain('First start');
  });

  test('a port that is taken ends the start with code 1 and says so', async () => {
    const gateway = await start();
    const other = await mkdtemp(join(tmpdir(), 'portcullis-first-run-'));
    const message = await failureOf({ GATEWAY_PORT: String(gateway.port), GATEWAY_DATA_DIR: other });
    expect(message).toContain('the gateway ended with code 1:\n');
    expect(message).toContain(String(gateway.port));
    await rm(other, { recursive: true });
  });
});

describe('the end', () => {
  test('[SV-GRACEFUL] after SIGTERM a running call is finished, a new one is not taken, and the code is 0', async () => {
    const upstream = await startBadUpstream();
    const gateway = await start({ GATEWAY_DRAIN_TIMEOUT_SECONDS: '60' });
    const { apiKey } = printedBy(gateway);
    const transport = streamableHttp(upstream.url('held'));
    await apiOf({ ...gateway, apiKey }, UpstreamService).createUpstream({ slug: 'held', transport, era: Era.LEGACY });
    const answer = call(gateway.port, 'held', apiKey, GOOD_CALL);
    await vi.waitFor(() => expect(upstream.received).toHaveLength(1), 10_000);
    const ended = gateway.stop();
    await vi.waitFor(() => expect(gateway.output()).toContain('Stopping'), 10_000);
    await expect(call(gateway.port, 'held', apiKey, GOOD_CALL)).rejects.toThrow('ECONNREFUSED');
    upstream.release();
    const { status, text } = await answer;
    expect([status, text]).toEqual([200, '{"jsonrpc":"2.0","id":7,"result":{"content":[]}}']);
    expect(await ended).toBe(0);
    await upstream.stop();
  });

  test('[SV-GRACEFUL] clients that only listen, or are silent, do not hold up the end', async () => {
    const upstream = await startBadUpstream();
    const gateway = await start({ GATEWAY_DRAIN_TIMEOUT_SECONDS: '3600' });
    const { apiKey } = printedBy(gateway);
    const transport = streamableHttp(upstream.url('slow-stream'));
    await apiOf({ ...gateway, apiKey }, UpstreamService).createUpstream({ slug: 'news', transport, era: Era.LEGACY });
    const silent = await openSocket(gateway.port);
    await listen(gateway.port, 'GET', '/v1/mcp/everything', apiKey, '');
    await listen(
      gateway.port,
      'POST',
      '/v1/mcp/news',
      apiKey,
      '{"jsonrpc":"2.0","id":1,"method":"subscriptions/listen"}',
    );
    expect(await gateway.stop()).toBe(0);
    silent.destroy();
    await upstream.stop();
  });
});

/** Opens a stream; resolves with its first bytes. */
function listen(port: number, method: string, path: string, apiKey: string, body: string): Promise<void> {
  const sent = request({ port, method, path, headers: mcpHeaders(apiKey), agent: false });
  sent.on('error', () => undefined);
  return new Promise((resolve) => {
    sent.on('response', (response) => {
      response.on('error', () => undefined);
      response.once('data', () => resolve());
    });
    sent.end(body);
  });
}

/** The JSON-RPC answer of a JSON body or of the last event of a stream. */
function jsonOf({ headers, text }: Answer): string {
  const isStream = String(headers['content-type']).startsWith('text/event-stream');
  return isStream ? (text.trim().split('\n').at(-1) ?? '').replace(/^data: /, '') : text;
}
