import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { connectNodeAdapter } from '@connectrpc/connect-node';
import { request } from 'undici';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { GatewayService } from '../../gen/portcullis/v1/gateway_service_pb.ts';
import { UpstreamService } from '../../gen/portcullis/v1/upstream_service_pb.ts';
import { createApiContext } from '../../src/api/context.ts';
import { createInstallation, type Installation } from './installation.ts';

let installation: Installation;
let server: Server;

beforeAll(async () => {
  installation = await createInstallation();
  const { routes, options } = installation.api;
  const contextValues = () => createApiContext({ requestId: 'request-1', caller: installation.admin });
  server = createServer(connectNodeAdapter({ routes, ...options, contextValues }));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = 'https://mcp.example.com/mcp';
  const transport = { value: { case: 'streamableHttp' as const, value: { url } } };
  await installation.as(installation.admin, UpstreamService).createUpstream({ slug: 'files', transport });
  await installation.as(installation.admin, GatewayService).createGateway({ slug: 'shared' });
});

afterAll(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  await installation.close();
});

/** Sends text as it is, which a generated client cannot. */
async function post(method: string, body: string): Promise<{ status: number; answer: unknown }> {
  const { port } = server.address() as AddressInfo;
  const { statusCode, body: answer } = await request(
    `http://127.0.0.1:${port}/portcullis.v1.GatewayService/${method}`,
    {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body,
    },
  );
  return { status: statusCode, answer: await answer.json() };
}

const nested = (levels: number): string => '{"a":'.repeat(levels) + '{}' + '}'.repeat(levels);
const invalid = (message: unknown) => ({ status: 400, answer: { code: 'invalid_argument', message } });

describe('a gateway in JSON', () => {
  it('is made with the names of the contract', async () => {
    const upstreams = '[{"slug": "files", "name_prefix": "f", "tools": {"read": {"fixed_arguments": {"root": "/"}}}}]';
    expect(await post('CreateGateway', `{"slug": "json", "upstreams": ${upstreams}}`)).toMatchObject({
      status: 200,
      answer: { gateway: { upstreams: [{ namePrefix: 'f', tools: { read: { fixedArguments: { root: '/' } } } }] } },
    });
  });

  it('has no override of an unknown key', async () => {
    const { status, answer } = await post(
      'CreateGateway',
      '{"slug": "x", "upstreams": [{"slug": "files", "command": "rm"}]}',
    );
    expect({ status, answer }).toMatchObject(invalid(expect.stringContaining('key "command" is unknown')));
  });

  it('has no open JSON with __proto__, wherever it stands', async () => {
    const tools = '{"read": {"fixed_arguments": {"a": [{"__proto__": {"b": 1}}]}}}';
    const message =
      'The request is not valid. upstreams[0].tools["read"].fixed_arguments.a[0]: must not have the key "__proto__"';
    const body = `{"slug": "x", "upstreams": [{"slug": "files", "tools": ${tools}}]}`;
    expect(await post('CreateGateway', body)).toMatchObject(invalid(message));
    const patch = `{"gateway": {"slug": "shared"}, "patch": {"upstreams": [{"slug": "files", "tools": ${tools}}]}}`;
    expect(await post('PatchGateway', patch)).toMatchObject(
      invalid(message.replace('upstreams[0]', 'patch.upstreams[0]')),
    );
    expect({}).not.toHaveProperty('b');
  });

  it('has no tool named __proto__', async () => {
    const body = '{"slug": "x", "upstreams": [{"slug": "files", "tools": {"__proto__": {"name": "x"}}}]}';
    expect(await post('CreateGateway', body)).toMatchObject(
      invalid('The request is not valid. upstreams[0].tools: must not have the key "__proto__"'),
    );
  });

  it('is nested at most so deep that every client can read it', async () => {
    const create = (slug: string, levels: number) =>
      post(
        'CreateGateway',
        `{"slug": "${slug}", "common_overrides": {"input_guardrails": {"additional_config": ${nested(levels)}}}}`,
      );
    expect((await create('deep', 31)).status).toBe(200);
    expect(await create('x', 32)).toMatchObject(
      invalid(expect.stringContaining('is nested too deep; use fewer levels')),
    );
    const { gateways } = await installation.as(installation.admin, GatewayService).listGateways({});
    expect(gateways.map(({ slug }) => slug)).toContain('deep');
  });

  it('is not patched with JSON that is nested beyond reason', async () => {
    for (const levels of [40, 60, 100_000]) {
      const body = `{"gateway": {"slug": "shared"}, "patch": {"common_overrides": {"input_guardrails": {"additional_config": ${nested(levels)}}}}}`;
      expect(await post('PatchGateway', body)).toMatchObject(invalid(expect.any(String)));
    }
  });

  it('is patched with names in snake case only, and the answer says which', async () => {
    const body = '{"gateway": {"slug": "shared"}, "patch": {"displayName": "Shared"}}';
    expect(await post('PatchGateway', body)).toMatchObject(
      invalid('The request is not valid. patch.displayName: is not a key here; write display_name'),
    );
    expect(await post('PatchGateway', body.replace('displayName', 'display_name'))).toMatchObject({
      status: 200,
      answer: { gateway: { displayName: 'Shared' } },
    });
  });

  it('tells a long key in few words', async () => {
    const body = JSON.stringify({ gateway: { slug: 'shared' }, patch: { ['k'.repeat(100_000)]: 1 } });
    const { status, answer } = await post('PatchGateway', body);
    expect(status).toBe(400);
    expect(JSON.stringify(answer).length).toBeLessThan(2_000);
  });
});
