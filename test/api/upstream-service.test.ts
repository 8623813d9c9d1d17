import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { DecisionCommit, Era, type Upstream } from '../../gen/portcullis/v1/upstream_pb.ts';
import { UpstreamService } from '../../gen/portcullis/v1/upstream_service_pb.ts';
import { findUpstream } from '../../src/db/upstreams.ts';
import type { UpstreamId } from '../../src/domain/ids.ts';
import { UpstreamRpcError } from '../../src/upstream/rpc-error.ts';
import { createInstallation, type Installation, refusalOf, withRights } from './installation.ts';

let gateway: Installation;

beforeEach(async () => {
  gateway = await createInstallation();
});

afterEach(() => gateway.close());

const http = (url: string) => ({ value: { case: 'streamableHttp' as const, value: { url } } });
const stdio = (command: string, args: string[] = []) => ({
  value: { case: 'stdio' as const, value: { command, args } },
});
const bearer = (token?: string) => ({
  value: { case: 'bearer' as const, value: token === undefined ? {} : { token } },
});
const byId = (upstream: Upstream | undefined) => ({ value: { case: 'id' as const, value: upstream?.id ?? '' } });
const bySlug = (slug: string) => ({ value: { case: 'slug' as const, value: slug } });

const demo = { slug: 'demo', transport: http('https://mcp.example.com/mcp') };

/** The secrets as they are stored, in the clear. */
async function openSecrets(upstream: Upstream | undefined): Promise<unknown> {
  const stored = await findUpstream(gateway.store.db, (upstream?.id ?? '') as UpstreamId);
  return stored?.sealedSecrets === ''
    ? ''
    : JSON.parse(await gateway.box.open('upstream', stored?.sealedSecrets ?? ''));
}

describe('an upstream', () => {
  it('is created with defaults and read by slug and by id', async () => {
    const client = gateway.as(gateway.admin, UpstreamService);
    const { upstream } = await client.createUpstream(demo);
    expect(upstream).toMatchObject({
      slug: 'demo',
      transport: http('https://mcp.example.com/mcp'),
      headers: [],
      env: [],
      toolFilter: { allowedTools: [], deniedTools: [] },
      era: Era.AUTO,
      decisionCommit: DecisionCommit.BEFORE_FORWARD,
      timeout: { seconds: 60n, nanos: 0 },
      enabled: true,
      etag: '1',
    });
    expect(upstream?.auth).toBeUndefined();
    expect((await client.getUpstream({ upstream: bySlug('demo') })).upstream).toEqual(upstream);
    expect((await client.getUpstream({ upstream: byId(upstream) })).upstream).toEqual(upstream);
  });

  it('keeps what an update does not set', async () => {
    const client = gateway.as(gateway.admin, UpstreamService);
    await client.createUpstream({
      ...demo,
      displayName: 'Demo',
      toolFilter: { deniedTools: ['rm*'] },
      era: Era.LEGACY,
    });
    const { upstream } = await client.updateUpstream({ upstream: bySlug('demo'), etag: '1', enabled: false });
    expect(upstream).toMatchObject({
      displayName: 'Demo',
      toolFilter: { deniedTools: ['rm*'] },
      era: Era.LEGACY,
      enabled: false,
      etag: '2',
    });
    const again = await client.updateUpstream({ upstream: bySlug('demo'), era: Era.AUTO, toolFilter: {} });
    expect(again.upstream).toMatchObject({ era: Era.AUTO, toolFilter: { allowedTools: [], deniedTools: [] } });
  });

  it('is not changed or deleted with a stale etag', async () => {
    const client = gateway.as(gateway.admin, UpstreamService);
    await client.createUpstream(demo);
    await client.updateUpstream({ upstream: bySlug('demo'), etag: '1', enabled: false });
    const stale = { code: 'Aborted', reason: 'ERROR_REASON_ETAG_MISMATCH', metadata: { resource: 'upstream' } };
    const update = client.updateUpstream({ upstream: bySlug('demo'), etag: '1', enabled: true });
    expect(await refusalOf(update)).toMatchObject(stale);
    expect(await refusalOf(client.deleteUpstream({ upstream: bySlug('demo'), etag: '1' }))).toMatchObject(stale);
    await client.deleteUpstream({ upstream: bySlug('demo'), etag: '2' });
    expect((await client.listUpstreams({})).upstreams).toEqual([]);
  });

  it('has a slug of its own that is not reserved and not an id', async () => {
    const client = gateway.as(gateway.admin, UpstreamService);
    await client.createUpstream(demo);
    expect(await refusalOf(client.createUpstream(demo))).toMatchObject({ code: 'AlreadyExists' });
    for (const slug of [
      'upstreams',
      'gateways',
      'tools',
      '',
      'Demo',
      '-demo',
      '0199aaaa-0000-7000-8000-000000000000',
    ]) {
      const { violations } = await refusalOf(client.createUpstream({ ...demo, slug }));
      expect(violations).toMatchObject([{ field: 'slug' }]);
    }
    expect((await gateway.as(gateway.otherAdmin, UpstreamService).createUpstream(demo)).upstream?.slug).toBe('demo');
  });

  it('of another project, or without a grant, looks like one that does not exist', async () => {
    const { upstream } = await gateway.as(gateway.admin, UpstreamService).createUpstream(demo);
    const denied = {
      code: 'PermissionDenied',
      message: `The credential has no access to the upstream "${upstream?.id}" (or it might not exist).`,
    };
    for (const caller of [gateway.otherAdmin, { ...gateway.admin, grants: new Set<UpstreamId>() }]) {
      const client = gateway.as(caller, UpstreamService);
      const named = { upstream: byId(upstream) };
      expect(await refusalOf(client.getUpstream(named))).toMatchObject(denied);
      expect(await refusalOf(client.updateUpstream({ ...named, enabled: false }))).toMatchObject(denied);
      expect(await refusalOf(client.deleteUpstream(named))).toMatchObject(denied);
      expect(await refusalOf(client.testUpstream(named))).toMatchObject(denied);
      expect(await refusalOf(client.listUpstreamTools(named))).toMatchObject(denied);
      expect((await client.listUpstreams({})).upstreams).toEqual([]);
    }
  });

  it('is not created by a credential whose grants name upstreams', async () => {
    const limited = { ...withRights(gateway.admin, 'gateway:write'), grants: new Set<UpstreamId>() };
    expect(await refusalOf(gateway.as(limited, UpstreamService).createUpstream(demo))).toMatchObject({
      code: 'PermissionDenied',
    });
  });
});

describe('the transport of an upstream', () => {
  it.each([
    ['ftp://mcp.example.com/', 'must be an http or https URL'],
    ['https://user:secret@mcp.example.com/', 'must not hold credentials; use auth or headers'],
    ['https://mcp.example.com/#part', 'must not have a fragment'],
  ])('refuses %s', async (url, description) => {
    const refusal = await refusalOf(
      gateway.as(gateway.admin, UpstreamService).createUpstream({ ...demo, transport: http(url) }),
    );
    expect(refusal.violations).toEqual([{ field: 'transport.streamable_http.url', description }]);
    expect(refusal.message).not.toContain('secret@');
  });

  it('runs only commands that the operator allows, by their exact text', async () => {
    const client = gateway.as(gateway.admin, UpstreamService);
    const { upstream } = await client.createUpstream({
      slug: 'local',
      transport: stdio('allowed-command', ['--fast']),
    });
    expect(upstream?.transport?.value).toMatchObject({
      case: 'stdio',
      value: {
        command: 'allowed-command',
        args: ['--fast'],
        maxProcesses: 32,
        idleTimeout: { seconds: 300n },
        sharing: 1,
      },
    });
    for (const command of ['bash', 'allowed-command ', '/bin/allowed-command']) {
      const refusal = await refusalOf(client.createUpstream({ slug: 'evil', transport: stdio(command) }));
      expect(refusal).toMatchObject({ code: 'InvalidArgument', violations: [{ field: 'transport.stdio.command' }] });
      expect(refusal.message).toContain('GATEWAY_STDIO_COMMANDS');
    }
    const update = client.updateUpstream({ upstream: bySlug('local'), transport: stdio('bash') });
    expect(await refusalOf(update)).toMatchObject({ violations: [{ field: 'transport.stdio.command' }] });
  });

  it('lets no variable turn an allowed command into another', async () => {
    const client = gateway.as(gateway.admin, UpstreamService);
    const env = ['NODE_OPTIONS', 'LD_PRELOAD', 'PATH', 'npm_config_node_options', 'PYTHONSTARTUP'].map((name) => ({
      name,
      value: 'x',
    }));
    const refusal = await refusalOf(client.createUpstream({ slug: 'local', transport: stdio('allowed-command'), env }));
    expect(refusal.violations.map(({ field }) => field)).toEqual(['env', 'env', 'env', 'env', 'env']);
    const harmless = [
      { name: 'API_TOKEN', value: 'x' },
      { name: 'PYTHONUNBUFFERED', value: '1' },
    ];
    const { upstream } = await client.createUpstream({
      slug: 'local',
      transport: stdio('allowed-command'),
      env: harmless,
    });
    expect(upstream?.env).toMatchObject([{ name: 'API_TOKEN' }, { name: 'PYTHONUNBUFFERED' }]);
  });
});

describe('the secrets of an upstream', () => {
  const secretive = {
    ...demo,
    auth: bearer('token-1'),
    headers: [
      { name: 'X-Tenant', value: 'tenant-1' },
      { name: 'X-Extra', value: 'extra-1' },
    ],
  };

  it('are stored sealed and never returned', async () => {
    const client = gateway.as(gateway.admin, UpstreamService);
    const { upstream } = await client.createUpstream(secretive);
    expect(upstream?.auth?.value).toMatchObject({ case: 'bearer' });
    expect(upstream?.headers.map(({ name, value }) => [name, value])).toEqual([
      ['x-tenant', undefined],
      ['x-extra', undefined],
    ]);
    const answers = [upstream, await client.getUpstream({ upstream: bySlug('demo') }), await client.listUpstreams({})];
    const rows = await gateway.store.db.selectFrom('upstreams').selectAll().execute();
    const everything = JSON.stringify([answers, rows], (_key, value) =>
      typeof value === 'bigint' ? `${value}` : value,
    );
    expect(everything).not.toMatch(/token-1|tenant-1|extra-1/);
    expect(await openSecrets(upstream)).toEqual({
      bearerToken: 'token-1',
      headers: { 'x-tenant': 'tenant-1', 'x-extra': 'extra-1' },
      env: {},
    });
  });

  it('stay when an update does not give them, and go when it leaves them out', async () => {
    const client = gateway.as(gateway.admin, UpstreamService);
    await client.createUpstream(secretive);
    const { upstream } = await client.updateUpstream({
      upstream: bySlug('demo'),
      auth: bearer(),
      headers: { headers: [{ name: 'X-Tenant' }, { name: 'X-New', value: 'new-1' }] },
    });
    expect(await openSecrets(upstream)).toEqual({
      bearerToken: 'token-1',
      headers: { 'x-tenant': 'tenant-1', 'x-new': 'new-1' },
      env: {},
    });
    const removed = await client.updateUpstream({ upstream: bySlug('demo'), auth: {}, headers: {} });
    expect(removed.upstream?.auth).toBeUndefined();
    expect(await openSecrets(removed.upstream)).toBe('');
  });

  it('must be given when nothing is stored for them', async () => {
    const client = gateway.as(gateway.admin, UpstreamService);
    const create = client.createUpstream({ ...demo, auth: bearer(), headers: [{ name: 'X-Tenant' }] });
    expect((await refusalOf(create)).violations.map(({ field }) => field)).toEqual([
      'auth.bearer.token',
      'headers[0].value',
    ]);
    await client.createUpstream(secretive);
    const basic = { value: { case: 'basic' as const, value: { username: 'ann' } } };
    const update = client.updateUpstream({ upstream: bySlug('demo'), auth: basic });
    expect((await refusalOf(update)).violations.map(({ field }) => field)).toEqual(['auth.basic.password']);
  });

  it('do not follow to another destination', async () => {
    const client = gateway.as(gateway.admin, UpstreamService);
    await client.createUpstream(secretive);
    for (const url of [
      'https://evil.example.com/mcp',
      'http://mcp.example.com/mcp',
      'https://mcp.example.com:8443/mcp',
    ]) {
      const moved = client.updateUpstream({ upstream: bySlug('demo'), transport: http(url) });
      expect((await refusalOf(moved)).violations.map(({ field }) => field)).toEqual([
        'auth.bearer.token',
        'headers[0].value',
        'headers[1].value',
      ]);
    }
    const { upstream } = await client.updateUpstream({
      upstream: bySlug('demo'),
      transport: http('https://new.example.com/mcp'),
      auth: bearer('token-2'),
      headers: {},
    });
    expect(await openSecrets(upstream)).toEqual({ bearerToken: 'token-2', headers: {}, env: {} });
  });

  it('do not follow to other arguments of a command', async () => {
    const client = gateway.as(gateway.admin, UpstreamService);
    const env = [{ name: 'API_TOKEN', value: 'token-1' }];
    await client.createUpstream({ slug: 'local', transport: stdio('allowed-command', ['serve']), env });
    const moved = client.updateUpstream({
      upstream: bySlug('local'),
      transport: stdio('allowed-command', ['-e', 'evil']),
    });
    expect((await refusalOf(moved)).violations.map(({ field }) => field)).toEqual(['env[0].value']);
    const again = { ...stdio('allowed-command', ['serve']).value.value, maxProcesses: 4 };
    const { upstream } = await client.updateUpstream({
      upstream: bySlug('local'),
      transport: { value: { case: 'stdio', value: again } },
    });
    expect(await openSecrets(upstream)).toEqual({ headers: {}, env: { API_TOKEN: 'token-1' } });
  });

  it('stay when only the path of the URL changes', async () => {
    const client = gateway.as(gateway.admin, UpstreamService);
    await client.createUpstream(secretive);
    const { upstream } = await client.updateUpstream({
      upstream: bySlug('demo'),
      transport: http('https://mcp.example.com/v2/mcp'),
    });
    expect(await openSecrets(upstream)).toMatchObject({ bearerToken: 'token-1' });
  });

  it('fit the transport, and no header of HTTP or MCP is among them', async () => {
    const client = gateway.as(gateway.admin, UpstreamService);
    const fields = async (request: Parameters<typeof client.createUpstream>[0]) =>
      (await refusalOf(client.createUpstream(request))).violations;
    const reserved = ['Host', 'Mcp-Session-Id', 'content-type'].map((name) => ({ name, value: 'x' }));
    expect(await fields({ ...demo, headers: reserved })).toMatchObject([
      { field: 'headers', description: '"host" belongs to HTTP or MCP and cannot be set' },
      { field: 'headers', description: '"mcp-session-id" belongs to HTTP or MCP and cannot be set' },
      { field: 'headers', description: '"content-type" belongs to HTTP or MCP and cannot be set' },
    ]);
    const twice = [
      { name: 'X-A', value: '1' },
      { name: 'x-a', value: '2' },
    ];
    expect(await fields({ ...demo, headers: twice })).toMatchObject([{ field: 'headers[1].name' }]);
    const authorization = [{ name: 'Authorization', value: 'x' }];
    expect(await fields({ ...demo, auth: bearer('t'), headers: authorization })).toMatchObject([{ field: 'headers' }]);
    expect(await fields({ ...demo, env: [{ name: 'A', value: '1' }] })).toMatchObject([{ field: 'env' }]);
    const local = { slug: 'local', transport: stdio('allowed-command') };
    expect(await fields({ ...local, auth: bearer('t'), headers: twice.slice(1) })).toMatchObject([
      { field: 'auth' },
      { field: 'headers' },
    ]);
  });
});

describe('a question to an upstream', () => {
  it('reports how a test went', async () => {
    await gateway.close();
    const test = async () => ({ ok: false, status: 502, latencyMs: 12.4, message: 'It answers 502.' });
    gateway = await createInstallation({ probe: { test, listTools: async () => [] } });
    const client = gateway.as(gateway.admin, UpstreamService);
    await client.createUpstream(demo);
    const answer = await client.testUpstream({ upstream: bySlug('demo') });
    expect(answer).toMatchObject({ ok: false, status: 502, latencyMs: 12, message: 'It answers 502.' });
  });

  it('tells the error that the upstream answered with', async () => {
    await gateway.close();
    const listTools = () => Promise.reject(new UpstreamRpcError(-32601, 'no such method', undefined));
    gateway = await createInstallation({ probe: { test: () => Promise.reject(new Error()), listTools } });
    const client = gateway.as(gateway.admin, UpstreamService);
    await client.createUpstream(demo);
    expect(await refusalOf(client.listUpstreamTools({ upstream: bySlug('demo') }))).toMatchObject({
      code: 'Unavailable',
      reason: 'ERROR_REASON_BAD_GATEWAY',
      message: 'The upstream answered with the error -32601: no such method',
      metadata: { rpc_code: '-32601' },
    });
  });

  it('lists its tools by name with what the filter says, page by page', async () => {
    await gateway.close();
    const listTools = async () => [
      { name: 'write', description: 'Writes.', inputSchema: { type: 'object' } },
      { name: 'delete', inputSchema: 'broken' },
      { name: 'read' },
    ];
    gateway = await createInstallation({ probe: { test: () => Promise.reject(new Error()), listTools } });
    const client = gateway.as(gateway.admin, UpstreamService);
    await client.createUpstream({ ...demo, toolFilter: { deniedTools: ['delete'] } });
    const first = await client.listUpstreamTools({ upstream: bySlug('demo'), pageSize: 2 });
    expect(first.tools).toMatchObject([
      { tool: { name: 'delete', description: '' }, allowed: false },
      { tool: { name: 'read' }, allowed: true },
    ]);
    const second = await client.listUpstreamTools({
      upstream: bySlug('demo'),
      pageSize: 2,
      pageToken: first.nextPageToken,
    });
    expect(second).toMatchObject({
      tools: [{ tool: { name: 'write', description: 'Writes.', inputSchema: { type: 'object' } }, allowed: true }],
      nextPageToken: '',
    });
  });
});
