import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { createRemoteJWKSet, jwtVerify } from 'jose';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { AuthService } from '../../gen/portcullis/v1/auth_service_pb.ts';
import { Scope } from '../../gen/portcullis/v1/scope_pb.ts';
import { UpstreamService } from '../../gen/portcullis/v1/upstream_service_pb.ts';
import { type GatewayProcess, startGateway } from '../support/gateway-process.ts';
import { type Answer, refusalOf, send, sendHttp2 } from './bad-http-client.ts';
import { GOOD_ANSWER, GOOD_CALL, mcpHeaders } from './bad-installation.ts';
import { apiOf, streamableHttp } from './support-api.ts';
import { type RecordingUpstream, startRecordingUpstream } from './support-recording-upstream.ts';

const BUF = fileURLToPath(new URL('../../node_modules/.bin/buf', import.meta.url));
const CONSOLE = 'https://console.example.com';

let gateway: GatewayProcess;
let recorder: RecordingUpstream;
let upstreamId: string;

beforeAll(async () => {
  recorder = await startRecordingUpstream();
  gateway = await startGateway({ env: { GATEWAY_DEMO_UPSTREAM: 'false', GATEWAY_CORS_ORIGINS: CONSOLE } });
  const transport = streamableHttp(recorder.url);
  const { upstream } = await apiOf(gateway, UpstreamService).createUpstream({ slug: 'plain', transport });
  upstreamId = upstream?.id ?? '';
});

afterAll(async () => {
  await gateway?.stop();
  await recorder?.stop();
});

/** Runs `buf curl`, which learns the schema from the gateway; resolves with the JSON it prints. */
async function bufCurl(args: readonly string[], method: string, data = '{}') {
  const key = ['-H', `Authorization: Bearer ${gateway.apiKey}`];
  const url = `${gateway.baseUrl}/${method}`;
  const { stdout } = await promisify(execFile)(process.execPath, [BUF, 'curl', ...args, ...key, '-d', data, url]);
  return JSON.parse(stdout);
}

function get(path: string, headers: Record<string, string> = {}): Promise<Answer> {
  return send(gateway.port, { method: 'GET', path, headers });
}

const protocols: Record<string, readonly string[]> = {
  'gRPC over HTTP/2 with prior knowledge': ['--protocol', 'grpc', '--http2-prior-knowledge'],
  'gRPC-Web over HTTP/1.1': ['--protocol', 'grpcweb'],
  'gRPC-Web over HTTP/2 with prior knowledge': ['--protocol', 'grpcweb', '--http2-prior-knowledge'],
  'Connect over HTTP/1.1': ['--protocol', 'connect'],
  'Connect over HTTP/2 with prior knowledge': ['--protocol', 'connect', '--http2-prior-knowledge'],
};

describe('buf curl without a schema', () => {
  for (const [name, args] of Object.entries(protocols)) {
    test(`[MS-BUF-CURL] lists upstreams by ${name}`, async () => {
      const { upstreams } = await bufCurl(args, 'portcullis.v1.UpstreamService/ListUpstreams');
      expect(upstreams).toMatchObject([{ id: upstreamId, slug: 'plain', enabled: true, era: 'ERA_AUTO' }]);
    });
  }

  test('[MS-BUF-CURL] calls a tool', async () => {
    const data = JSON.stringify({ upstream: { slug: 'plain' }, name: 'look', arguments: { a: 1 } });
    const grpc = ['--protocol', 'grpc', '--http2-prior-knowledge'];
    const answer = await bufCurl(grpc, 'portcullis.v1.ToolService/CallTool', data);
    expect(answer).toEqual({ callId: expect.any(String), content: [{ text: { text: 'look' } }] });
  });

  test('[SV-GRPC-HEALTH] asks grpc.health.v1', async () => {
    const grpc = ['--protocol', 'grpc', '--http2-prior-knowledge'];
    expect(await bufCurl(grpc, 'grpc.health.v1.Health/Check')).toEqual({ status: 'SERVING' });
  });
});

describe('reads as HTTP GET', () => {
  const path = '/portcullis.v1.UpstreamService/ListUpstreams?connect=v1&encoding=json&message=%7B%7D';

  test('[MS-HTTP-GET] a list is read with GET, by key and over both HTTP versions', async () => {
    const headers = { authorization: `Bearer ${gateway.apiKey}` };
    const overHttp1 = await get(path, headers);
    const overHttp2 = await sendHttp2(gateway.port, { method: 'GET', path, headers });
    for (const { status, text } of [overHttp1, overHttp2]) {
      expect(status).toBe(200);
      expect(JSON.parse(text)).toMatchObject({ upstreams: [{ id: upstreamId, slug: 'plain' }] });
    }
  });

  test('[MS-HTTP-GET] a GET without a key is refused, also with the key in the query', async () => {
    for (const query of ['', `&api_key=${gateway.apiKey}`, `&authorization=Bearer%20${gateway.apiKey}`]) {
      const answer = await get(path + query);
      expect([answer.status, JSON.parse(answer.text).code]).toEqual([401, 'unauthenticated']);
    }
  });

  test('[MS-HTTP-GET] what changes something is not served over GET', async () => {
    const message = encodeURIComponent(JSON.stringify({ upstream: { slug: 'plain' } }));
    for (const method of ['UpstreamService/DeleteUpstream', 'ToolService/CallTool', 'AuthService/Login']) {
      const url = `/portcullis.v1.${method}?connect=v1&encoding=json&message=${message}`;
      const { status } = await get(url, { authorization: `Bearer ${gateway.apiKey}` });
      expect([method, status]).toEqual([method, 405]);
    }
  });
});

describe('health', () => {
  test('[SV-HEALTH] /healthz and /readyz say alive and ready to anybody, whatever the host', async () => {
    for (const host of ['127.0.0.1', 'kubernetes.example']) {
      const alive = await get('/healthz', { host });
      const ready = await get('/readyz', { host });
      expect([alive.status, alive.text]).toEqual([200, '{"status":"alive"}']);
      expect([ready.status, ready.text]).toEqual([200, '{"status":"ready"}']);
    }
  });

  test('[SV-HEALTH] /health has the fields of document 002', async () => {
    const answer = await get('/health');
    expect(answer.status).toBe(200);
    expect(answer.headers['content-type']).toBe('application/json');
    expect(JSON.parse(answer.text)).toEqual({
      status: 'healthy',
      timestamp: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
      uptime: expect.any(Number),
      version: '0.1.0',
      database: 'connected',
      mcp_servers: { total: 1, healthy: expect.any(Number), unhealthy: expect.any(Number) },
    });
  });
});

describe('a user’s token', () => {
  const login = (username: string, password: string) =>
    send(gateway.port, {
      path: '/portcullis.v1.AuthService/Login',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ username, password }),
    });

  test('[ID-LOGIN] Login answers access_token, refresh_token and expire_time, and JWKS proves the token', async () => {
    const { status, text } = await login('admin', gateway.adminPassword);
    const answer = JSON.parse(text);
    expect(status).toBe(200);
    expect(Object.keys(answer).sort()).toEqual(['accessToken', 'expireTime', 'refreshToken']);
    const jwks = createRemoteJWKSet(new URL(`${gateway.baseUrl}/.well-known/jwks.json`));
    const { payload, protectedHeader } = await jwtVerify(answer.accessToken, jwks);
    expect(protectedHeader.alg).toBe('ES256');
    expect(Math.floor((payload.exp ?? 0) - (payload.iat ?? 0))).toBe(3600);
    expect(Math.ceil(Date.parse(answer.expireTime) / 1000)).toBe(payload.exp);
  });

  test('[ID-LOGIN] JWKS holds public keys only', async () => {
    const { keys } = JSON.parse((await get('/.well-known/jwks.json')).text);
    expect(keys.length).toBeGreaterThan(0);
    for (const key of keys) {
      expect(Object.keys(key).sort()).toEqual(['alg', 'crv', 'kid', 'kty', 'use', 'x', 'y']);
    }
  });

  test('[ID-LOGIN] a wrong password and an unknown user are refused in the same words', async () => {
    const answers = [await login('admin', 'wrong-password-1'), await login('nobody', 'wrong-password-1')];
    for (const { status, text } of answers) {
      expect([status, JSON.parse(text).code]).toEqual([401, 'unauthenticated']);
    }
    const messages = answers.map(({ text }) => JSON.parse(text).message);
    expect(messages[0]).toBe(messages[1]);
  });

  test('[ID-TOKEN-MCP] calls tools on the MCP face within the scopes of the user', async () => {
    const { accessToken } = JSON.parse((await login('admin', gateway.adminPassword)).text);
    const path = '/v1/mcp/plain';
    const called = await send(gateway.port, { path, headers: mcpHeaders(accessToken), body: GOOD_CALL });
    expect([called.status, called.text]).toEqual([200, GOOD_ANSWER]);
    const password = 'a-reader-and-no-more-5';
    const admin = apiOf(gateway, AuthService, accessToken);
    await admin.createUser({ username: 'reader', password, scopes: [Scope.GATEWAY_READ] });
    const reader = JSON.parse((await login('reader', password)).text).accessToken;
    const refused = await send(gateway.port, { path, headers: mcpHeaders(reader), body: GOOD_CALL });
    expect([refused.status, refusalOf(refused).code]).toEqual([403, 'permission_denied']);
  });

  test('[ID-LOGIN] a changed token is refused', async () => {
    const { accessToken } = JSON.parse((await login('admin', gateway.adminPassword)).text);
    const [head = '', body = '', signature = ''] = accessToken.split('.');
    const claims = JSON.parse(Buffer.from(body, 'base64url').toString());
    const forged = Buffer.from(JSON.stringify({ ...claims, exp: claims.exp + 9_999_999 })).toString('base64url');
    const none = Buffer.from('{"alg":"none"}').toString('base64url');
    for (const token of [`${head}.${forged}.${signature}`, `${none}.${body}.`, `${head}.${body}.`, `${head}.${body}`]) {
      const answer = await send(gateway.port, { path: '/v1/mcp/plain', headers: mcpHeaders(token), body: GOOD_CALL });
      expect([answer.status, refusalOf(answer).code]).toEqual([401, 'invalid_api_key']);
    }
  });
});

describe('pages of a browser', () => {
  const preflight = (origin: string, path = '/v1/mcp/plain') =>
    send(gateway.port, {
      method: 'OPTIONS',
      path,
      headers: {
        origin,
        'access-control-request-method': 'POST',
        'access-control-request-headers': 'authorization,content-type,mcp-protocol-version',
      },
    });

  test('[SV-CORS] a preflight of a configured origin is answered with what it may do, on both faces', async () => {
    for (const path of ['/v1/mcp/plain', '/portcullis.v1.UpstreamService/ListUpstreams']) {
      const answer = await preflight(CONSOLE, path);
      expect([answer.status, answer.text]).toEqual([204, '']);
      expect(answer.headers).toMatchObject({
        'access-control-allow-origin': CONSOLE,
        'access-control-allow-methods': 'GET, POST, DELETE, OPTIONS',
        'access-control-allow-headers': 'authorization,content-type,mcp-protocol-version',
        vary: 'Origin',
      });
      expect(answer.headers['access-control-allow-credentials']).toBeUndefined();
    }
  });

  test('[SV-CORS] an answer to a configured origin may be read by it, with the headers MCP needs', async () => {
    const headers = mcpHeaders(gateway.apiKey, { origin: CONSOLE });
    const answer = await send(gateway.port, { path: '/v1/mcp/plain', headers, body: GOOD_CALL });
    expect(answer.status).toBe(200);
    expect(answer.headers['access-control-allow-origin']).toBe(CONSOLE);
    expect(answer.headers['access-control-expose-headers']).toContain('mcp-session-id');
  });

  test('[SV-CORS] a preflight of another origin is refused with 403', async () => {
    for (const origin of [
      'https://evil.example',
      'https://console.example.com.evil.example',
      'http://console.example.com',
      'null',
    ]) {
      const answer = await preflight(origin);
      expect([origin, answer.status, answer.headers['access-control-allow-origin']]).toEqual([origin, 403, undefined]);
    }
  });
});
