import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { toJsonString } from '@bufbuild/protobuf';
import { Code, ConnectError } from '@connectrpc/connect';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ApiKeyService, ListApiKeysResponseSchema } from '../../gen/portcullis/v1/api_key_service_pb.ts';
import { DecisionService, ListDecisionsResponseSchema } from '../../gen/portcullis/v1/decision_service_pb.ts';
import { Era } from '../../gen/portcullis/v1/upstream_pb.ts';
import {
  CreateUpstreamResponseSchema,
  GetUpstreamResponseSchema,
  ListUpstreamsResponseSchema,
  TestUpstreamResponseSchema,
  UpdateUpstreamResponseSchema,
  UpstreamService,
} from '../../gen/portcullis/v1/upstream_service_pb.ts';
import { type GatewayProcess, startGateway } from '../support/gateway-process.ts';
import { send } from './bad-http-client.ts';
import { GOOD_CALL, mcpHeaders } from './bad-installation.ts';
import { type BadUpstream, startBadUpstream } from './bad-upstream-server.ts';
import { apiOf, streamableHttp } from './support-api.ts';
import { callerOf, openSession, post, toolCall } from './support-mcp-session.ts';

const BEARER = 'bearer-Qm7xT2vK9pLw';
const PASSWORD = 'basic-Zt4nR8sVbY1d';
const HEADER = 'header-Hc6gF3jXuE5a';
const VARIABLE = 'variable-Wk2mP7oNiS9q';
const SECRETS = [BEARER, PASSWORD, HEADER, VARIABLE, Buffer.from(`robot:${PASSWORD}`).toString('base64')];

let gateway: GatewayProcess;
let upstream: BadUpstream;
let dataDir: string;

beforeAll(async () => {
  upstream = await startBadUpstream();
  dataDir = await mkdtemp(join(tmpdir(), 'portcullis-secrets-'));
  const env = { GATEWAY_DEMO_UPSTREAM: 'false', GATEWAY_STDIO_COMMANDS: process.execPath, GATEWAY_LOG_LEVEL: 'trace' };
  gateway = await startGateway({ dataDir, env });
});

afterAll(async () => {
  await gateway?.stop();
  await upstream?.stop();
  await rm(dataDir, { recursive: true, force: true });
});

const ref = (slug: string) => ({ value: { case: 'slug' as const, value: slug } });

function call(slug: string, headers: Record<string, string> = {}) {
  const path = `/v1/mcp/${slug}`;
  return send(gateway.port, { path, headers: mcpHeaders(gateway.apiKey, headers), body: GOOD_CALL });
}

test('[MC-NO-CLIENT-CREDENTIALS] what a client sends to prove itself never reaches an upstream', async () => {
  const transport = streamableHttp(upstream.url('good'));
  await apiOf(gateway, UpstreamService).createUpstream({ slug: 'open', transport, era: Era.LEGACY });
  const headers = {
    'x-api-key': gateway.apiKey,
    'x-veto-api-key': gateway.apiKey,
    cookie: 'session=abc',
    'proxy-authorization': 'Basic abc',
    forwarded: 'for=192.0.2.1',
    'x-forwarded-for': '192.0.2.1',
    'x-custom': 'private',
    referer: 'https://intranet.example/secret',
    host: 'localhost:1',
    origin: 'http://localhost',
    traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
    'mcp-param-region': 'eu',
  };
  expect((await call('open', headers)).status).toBe(200);
  const { host, connection, ...received } = upstream.received.at(-1) ?? {};
  expect(host).toBe(new URL(upstream.url('good')).host);
  expect(connection).toBe('keep-alive');
  expect(received).toEqual({
    'content-type': 'application/json',
    accept: 'application/json, text/event-stream',
    'content-length': String(GOOD_CALL.length),
    traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
    'mcp-param-region': 'eu',
  });
});

test('[UP-CREDENTIALS] bearer token, basic password and headers of an upstream arrive, and beat those of the client', async () => {
  const upstreams = apiOf(gateway, UpstreamService);
  const transport = streamableHttp(upstream.url('good'));
  const headers = [{ name: 'X-Service-Key', value: HEADER }];
  const bearer = { value: { case: 'bearer' as const, value: { token: BEARER } } };
  const basic = { value: { case: 'basic' as const, value: { username: 'robot', password: PASSWORD } } };
  await upstreams.createUpstream({ slug: 'bearer', transport, auth: bearer, headers, era: Era.LEGACY });
  await upstreams.createUpstream({ slug: 'basic', transport, auth: basic, era: Era.LEGACY });
  await call('bearer', { 'x-service-key': 'of the client' });
  expect(upstream.received.at(-1)).toMatchObject({ authorization: `Bearer ${BEARER}`, 'x-service-key': HEADER });
  await call('basic');
  expect(upstream.received.at(-1)).toMatchObject({ authorization: 'Basic cm9ib3Q6YmFzaWMtWnQ0blI4c1ZiWTFk' });
});

test('[UP-CREDENTIALS] a process gets its own variables and none of the gateway’s settings', async () => {
  const script = fileURLToPath(new URL('../upstream/fake-stdio-upstream.ts', import.meta.url));
  await apiOf(gateway, UpstreamService).createUpstream({
    slug: 'process',
    era: Era.LEGACY,
    env: [{ name: 'SERVICE_TOKEN', value: VARIABLE }],
    transport: { value: { case: 'stdio', value: { command: process.execPath, args: [script] } } },
  });
  const session = await openSession(callerOf(gateway, 'process'));
  const { text } = await post(session, toolCall(1, 'environment'));
  const { env } = JSON.parse(text).result;
  expect(env).toMatchObject({ SERVICE_TOKEN: VARIABLE });
  expect(Object.keys(env).filter((name) => name.startsWith('GATEWAY_'))).toEqual([]);
  expect(text).not.toContain(gateway.apiKey);
});

test('[PR-SECRETS-STAY-IN] no answer of the API holds a secret', async () => {
  const upstreams = apiOf(gateway, UpstreamService);
  const transport = streamableHttp(upstream.url('error-500'));
  const auth = { value: { case: 'bearer' as const, value: { token: BEARER } } };
  const headers = [{ name: 'x-service-key', value: HEADER }];
  const created = await upstreams.createUpstream({ slug: 'failing', transport, auth, headers, era: Era.LEGACY });
  const changed = await upstreams.updateUpstream({ upstream: ref('failing'), displayName: 'Failing' });
  const keys = await apiOf(gateway, ApiKeyService).listApiKeys({});
  await call('failing');
  const texts = [
    toJsonString(CreateUpstreamResponseSchema, created),
    toJsonString(UpdateUpstreamResponseSchema, changed),
    toJsonString(GetUpstreamResponseSchema, await upstreams.getUpstream({ upstream: ref('failing') })),
    toJsonString(ListUpstreamsResponseSchema, await upstreams.listUpstreams({})),
    toJsonString(TestUpstreamResponseSchema, await upstreams.testUpstream({ upstream: ref('failing') })),
    toJsonString(ListApiKeysResponseSchema, keys),
    toJsonString(ListDecisionsResponseSchema, await apiOf(gateway, DecisionService).listDecisions({})),
    (await call('failing')).text,
  ];
  expect(texts.filter((text) => text.includes('x-service-key')).length).toBeGreaterThan(2);
  for (const secret of [...SECRETS, gateway.apiKey]) {
    expect(texts.filter((text) => text.includes(secret))).toEqual([]);
  }
});

test('[PR-SECRETS-STAY-IN] stored secrets do not follow to another destination', async () => {
  const error = await apiOf(gateway, UpstreamService)
    .updateUpstream({ upstream: ref('bearer'), transport: streamableHttp('http://127.0.0.1:9/steal') })
    .then(() => undefined, ConnectError.from);
  expect(error?.code).toBe(Code.InvalidArgument);
  await call('bearer');
  expect(upstream.received.at(-1)).toMatchObject({ authorization: `Bearer ${BEARER}` });
});

test('[PR-SECRETS-STAY-IN] neither log nor data files hold a secret, also when everything is logged', async () => {
  await send(gateway.port, { path: '/v1/mcp/bearer', headers: mcpHeaders(`${gateway.apiKey}x`), body: GOOD_CALL });
  const login = JSON.stringify({ username: 'admin', password: gateway.adminPassword });
  const headers = { 'content-type': 'application/json' };
  await send(gateway.port, { path: '/portcullis.v1.AuthService/Login', headers, body: login });
  const files = (await readdir(dataDir)).filter((name) => name.startsWith('portcullis.db'));
  expect(files).toContain('portcullis.db');
  const texts = await Promise.all(files.map((name) => readFile(join(dataDir, name), 'latin1')));
  for (const secret of [...SECRETS, gateway.apiKey, gateway.adminPassword]) {
    expect(gateway.output()).not.toContain(secret);
    expect(texts.filter((text) => text.includes(secret))).toEqual([]);
  }
});
