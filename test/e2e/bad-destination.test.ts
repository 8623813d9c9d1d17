import { Code, ConnectError } from '@connectrpc/connect';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { BadRequestSchema, ErrorInfoSchema } from '../../gen/google/rpc/error_details_pb.ts';
import { Era } from '../../gen/portcullis/v1/upstream_pb.ts';
import { UpstreamService } from '../../gen/portcullis/v1/upstream_service_pb.ts';
import { type GatewayProcess, startGateway } from '../support/gateway-process.ts';
import { send } from './bad-http-client.ts';
import { GOOD_CALL, mcpHeaders } from './bad-installation.ts';
import { type BadUpstream, startBadUpstream } from './bad-upstream-server.ts';
import { apiOf, streamableHttp } from './support-api.ts';

let gateway: GatewayProcess;
let target: BadUpstream;

beforeAll(async () => {
  target = await startBadUpstream();
  gateway = await startGateway({ env: { GATEWAY_DEMO_UPSTREAM: 'false', GATEWAY_UPSTREAM_NETWORKS: '' } });
});

afterAll(async () => {
  await gateway?.stop();
  await target?.stop();
});

const kinds: Record<string, (port: string) => readonly [url: string, setting: string]> = {
  loopback: (port) => [`http://127.0.0.1:${port}/good`, '(loopback)'],
  localhost: (port) => [`http://localhost:${port}/good`, '(loopback)'],
  'loopback as one number': (port) => [`http://2130706433:${port}/good`, '(loopback)'],
  'loopback in hexadecimal': (port) => [`http://0x7f.1:${port}/good`, '(loopback)'],
  'IPv6 loopback': (port) => [`http://[::1]:${port}/good`, '(loopback)'],
  'loopback as IPv4 in IPv6': (port) => [`http://[::ffff:7f00:1]:${port}/good`, '(ipv4Mapped)'],
  'the unspecified address': (port) => [`http://0.0.0.0:${port}/good`, '(unspecified)'],
  'the metadata service': () => ['http://169.254.169.254/latest/meta-data/', '(linkLocal)'],
  'a private address': () => ['http://10.1.2.3/mcp', '(private)'],
  'another private address': () => ['http://192.168.1.1/mcp', '(private)'],
  'a unique local address': () => ['http://[fd12:3456::1]/mcp', '(private)'],
  'link-local IPv6': () => ['http://[fe80::1]/mcp', '(linkLocal)'],
};

for (const [what, make] of Object.entries(kinds)) {
  test(`[UP-SSRF] ${what} is refused with the name of the setting that would allow it`, async () => {
    const [url, setting] = make(new URL(target.url('good')).port);
    const slug = what.toLowerCase().replaceAll(' ', '-');
    const upstreams = apiOf(gateway, UpstreamService);
    await upstreams.createUpstream({ slug, transport: streamableHttp(url), era: Era.LEGACY });
    const answer = await send(gateway.port, {
      path: `/v1/mcp/${slug}`,
      headers: mcpHeaders(gateway.apiKey),
      body: GOOD_CALL,
    });
    const { error } = JSON.parse(answer.text);
    expect([answer.status, error.code]).toEqual([200, -32603]);
    expect(error.message).toContain(setting);
    expect(error.message).toContain('GATEWAY_UPSTREAM_NETWORKS');
    const tested = await upstreams.testUpstream({ upstream: { value: { case: 'slug', value: slug } } });
    expect(tested.ok).toBe(false);
    expect(tested.message).toContain('GATEWAY_UPSTREAM_NETWORKS');
    expect(target.received).toEqual([]);
  });
}

test('[UP-STDIO-ALLOWED] a command that the operator does not allow is refused with validation_failed and the setting', async () => {
  const commands = ['/bin/sh', 'sh', 'node', 'mcp-server-everything ', './mcp-server-everything'];
  for (const command of commands) {
    const error = await apiOf(gateway, UpstreamService)
      .createUpstream({
        slug: 'shell',
        transport: { value: { case: 'stdio', value: { command, args: ['-c', 'id'] } } },
      })
      .then(() => undefined, ConnectError.from);
    expect([command, error?.code]).toEqual([command, Code.InvalidArgument]);
    expect(error?.findDetails(ErrorInfoSchema)[0]?.reason).toBe('ERROR_REASON_VALIDATION_FAILED');
    expect(error?.findDetails(BadRequestSchema)[0]?.fieldViolations[0]?.description).toContain(
      'GATEWAY_STDIO_COMMANDS',
    );
  }
});

test('[UP-STDIO-ALLOWED] an allowed upstream cannot be turned into one that runs a command', async () => {
  const upstreams = apiOf(gateway, UpstreamService);
  await upstreams.createUpstream({ slug: 'turned', transport: streamableHttp('https://mcp.example.com/mcp') });
  const upstream = { value: { case: 'slug' as const, value: 'turned' } };
  const transport = { value: { case: 'stdio' as const, value: { command: '/bin/sh' } } };
  const error = await upstreams.updateUpstream({ upstream, transport }).then(() => undefined, ConnectError.from);
  expect(error?.code).toBe(Code.InvalidArgument);
});

test('[UP-SSRF] URLs that are no HTTP, or carry credentials, are refused', async () => {
  const urls = [
    'file:///etc/passwd',
    'ftp://example.com/',
    'gopher://example.com/',
    'http://user:pass@example.com/',
    'https://',
    'unix:/run/x.sock',
  ];
  for (const url of urls) {
    const error = await apiOf(gateway, UpstreamService)
      .createUpstream({ slug: 'scheme', transport: streamableHttp(url) })
      .then(() => undefined, ConnectError.from);
    expect([url, error?.code]).toEqual([url, Code.InvalidArgument]);
  }
});
