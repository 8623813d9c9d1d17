import { execFile } from 'node:child_process';
import { createServer, type Server } from 'node:http';
import { createServer as createHttp2Server, type Http2Server } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { promisify } from 'node:util';
import { connectNodeAdapter } from '@connectrpc/connect-node';
import { request } from 'undici';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createApiContext } from '../../src/api/context.ts';
import { createInstallation, type Installation } from './installation.ts';

let gateway: Installation;
let http1: Server;
let http2: Http2Server;

beforeAll(async () => {
  gateway = await createInstallation({
    probe: { test: () => Promise.reject(new Error()), listTools: () => Promise.reject(new Error()) },
    calls: {
      listTools: async () => [],
      callTool: async () => ({ callId: 'call-1', result: { content: [] } }),
      authorize: () => Promise.reject(new Error()),
    },
  });
  const { routes, options } = gateway.api;
  const contextValues = () => createApiContext({ requestId: 'request-1', caller: gateway.admin });
  const handler = connectNodeAdapter({ routes, ...options, contextValues });
  http1 = createServer(handler);
  http2 = createHttp2Server(handler);
  for (const server of [http1, http2]) {
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  }
});

afterAll(async () => {
  http1.closeAllConnections();
  for (const server of [http1, http2]) {
    await new Promise((resolve) => server.close(resolve));
  }
  await gateway.close();
});

const urlOf = (server: Server | Http2Server) => `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

/** `buf curl` without a schema file: it learns the schema by reflection. */
async function bufCurl(protocol: string, path: string, data: object): Promise<unknown> {
  const args = [
    'curl',
    '--protocol',
    protocol,
    '--http2-prior-knowledge',
    '-d',
    JSON.stringify(data),
    `${urlOf(http2)}${path}`,
  ];
  const { stdout } = await promisify(execFile)('node_modules/.bin/buf', args);
  return JSON.parse(stdout);
}

async function post(path: string, body: string) {
  const headers = { 'content-type': 'application/json' };
  const response = await request(`${urlOf(http1)}${path}`, { method: 'POST', body, headers });
  return { status: response.statusCode, answer: (await response.body.json()) as { code?: string; message?: string } };
}

describe('the API over HTTP', () => {
  it.each(['grpc', 'grpcweb', 'connect'])('needs no schema file for buf curl over %s', async (protocol) => {
    const answer = await bufCurl(protocol, '/portcullis.v1.AuthService/GetCaller', {});
    expect(answer).toMatchObject({ caller: { name: 'admin', kind: 'PRINCIPAL_KIND_USER' } });
  });

  it('tells every service by reflection', async () => {
    const args = ['curl', '--http2-prior-knowledge', '--list-services', urlOf(http2)];
    const { stdout } = await promisify(execFile)('node_modules/.bin/buf', args);
    expect(stdout.trim().split('\n')).toEqual([
      'grpc.health.v1.Health',
      'grpc.reflection.v1.ServerReflection',
      'portcullis.v1.AgentService',
      'portcullis.v1.ApiKeyService',
      'portcullis.v1.ApprovalService',
      'portcullis.v1.AuthService',
      'portcullis.v1.DecisionService',
      'portcullis.v1.GatewayService',
      'portcullis.v1.PolicyService',
      'portcullis.v1.ProjectService',
      'portcullis.v1.StatsService',
      'portcullis.v1.ToolService',
      'portcullis.v1.UpstreamService',
      'portcullis.v1.UpstreamTemplateService',
    ]);
  });

  it('shows the details of errors to buf curl', async () => {
    const refused = bufCurl('connect', '/portcullis.v1.UpstreamService/GetUpstream', {
      upstream: { slug: 'nowhere' },
    });
    const { stderr } = await refused.then(
      () => ({ stderr: '' }),
      (error: { stderr: string }) => error,
    );
    expect(stderr).toContain('permission_denied');
    expect(stderr).toContain('ERROR_REASON_PERMISSION_DENIED');
  });

  it('answers reads over GET, and nothing else', async () => {
    const get = (method: string) =>
      request(`${urlOf(http1)}/portcullis.v1.${method}?connect=v1&encoding=json&message=${encodeURIComponent('{}')}`);
    const read = await get('ProjectService/GetProject');
    expect(read.statusCode).toBe(200);
    expect(await read.body.json()).toMatchObject({ project: { slug: 'default' } });
    const create = await get('UpstreamService/CreateUpstream');
    expect(create.statusCode).toBe(405);
    await create.body.dump();
  });

  it('refuses fields it does not know', async () => {
    const { status, answer } = await post('/portcullis.v1.ProjectService/GetProject', '{"projekt": {"slug": "other"}}');
    expect(status).toBe(400);
    expect(answer.code).toBe('invalid_argument');
  });

  it('refuses messages beyond 1 MiB', async () => {
    const body = JSON.stringify({ slug: 'x'.repeat(1024 * 1024) });
    const { status, answer } = await post('/portcullis.v1.UpstreamService/CreateUpstream', body);
    expect([status, answer.code]).toEqual([429, 'resource_exhausted']);
  });

  it('survives arguments that are nested 10,000 deep', async () => {
    const deep = `${'['.repeat(10_000)}${']'.repeat(10_000)}`;
    const body = `{"upstream": {"slug": "demo"}, "name": "echo", "arguments": {"a": ${deep}}}`;
    const { status, answer } = await post('/portcullis.v1.ToolService/CallTool', body);
    expect([status, answer.code]).toEqual([400, 'invalid_argument']);
    expect((await post('/portcullis.v1.AuthService/GetCaller', '{}')).status).toBe(200);
  });

  it.each(['{"upstream":', '[]', 'null', '"text"'])('refuses the body %s', async (body) => {
    const { status } = await post('/portcullis.v1.UpstreamService/GetUpstream', body);
    expect(status).toBe(400);
  });
});
