import { mkdtemp, realpath, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Era } from '../../gen/portcullis/v1/upstream_pb.ts';
import type { GatewayProcess } from '../support/gateway-process.ts';
import { freePort, serveEverything } from '../upstream/http-clients.ts';
import { serveSdk } from '../upstream/sdk-upstream.ts';
import { sse, stdio, streamableHttp } from './support-api.ts';
import { createCleanUp } from './support-clean-up.ts';
import { type Arguments, inspector, type OfficialClient, sdk1, sdk2 } from './support-clients.ts';
import { EVERYTHING, FILESYSTEM, MEMORY } from './support-known-tools.ts';
import { callerOf, openSession, post } from './support-mcp-session.ts';
import { operatorOf } from './support-policies.ts';

let gateway: GatewayProcess;
let folder: string;
const cleanUp = createCleanUp();

beforeAll(async () => {
  const made = mkdtemp(join(tmpdir(), 'portcullis-gateway-clients-')).then((path) => realpath(path));
  folder = await cleanUp.add(made, () => rm(folder, { recursive: true }));
  const commands = 'mcp-server-everything,mcp-server-filesystem,mcp-server-memory';
  gateway = await cleanUp.startGateway({
    env: { GATEWAY_STDIO_COMMANDS: commands, GATEWAY_DEMO_UPSTREAM: 'false' },
  });
  const events = await cleanUp.add(serveEverything('sse'), ({ stop }) => stop());
  const modern = await cleanUp.add(serveSdk({ legacy: 'reject' }), ({ stop }) => stop());
  const env = [{ name: 'MEMORY_FILE_PATH', value: join(folder, 'memory.json') }];
  const { upstreams, gateways } = await operatorOf(gateway);
  const { createUpstream } = upstreams;
  await createUpstream({ slug: 'everything', transport: stdio('mcp-server-everything', ['stdio']) });
  await createUpstream({ slug: 'files', transport: stdio('mcp-server-filesystem', [folder]) });
  await createUpstream({ slug: 'memory', transport: stdio('mcp-server-memory', []), env });
  await createUpstream({ slug: 'events', transport: sse(events.url) });
  await createUpstream({ slug: 'modern', transport: streamableHttp(modern.url), era: Era.MODERN });
  await createUpstream({ slug: 'down', transport: streamableHttp(`http://127.0.0.1:${await freePort()}/mcp`) });
  const slugs = ['everything', 'files', 'memory', 'events', 'modern', 'down'];
  await gateways.createGateway({ slug: 'all', upstreams: slugs.map((slug) => ({ slug })) });
});

afterAll(cleanUp.run);

const of = (slug: string, tools: readonly string[]) => tools.map((tool) => `${slug}_${tool}`);
const TOOLS = [
  ...of('everything', EVERYTHING),
  ...of('files', FILESYSTEM),
  ...of('memory', MEMORY),
  ...of('events', EVERYTHING),
  ...of('modern', ['echo', 'regional']),
];
/** What server-everything offers to clients that declare roots, as the inspector does. */
const WITH_ROOTS = ['everything_get-roots-list', 'events_get-roots-list'];

interface Call {
  readonly tool: string;
  readonly args: Arguments;
  readonly text: () => string;
}

/** One call of each kind of upstream. */
const CALLS: readonly Call[] = [
  { tool: 'everything_get-sum', args: { a: 19, b: 23 }, text: () => 'The sum of 19 and 23 is 42.' },
  { tool: 'files_list_allowed_directories', args: {}, text: () => `Allowed directories:\n${folder}` },
  { tool: 'memory_search_nodes', args: { query: 'x' }, text: () => '{\n  "entities": [],\n  "relations": []\n}' },
  { tool: 'events_echo', args: { message: 'hi' }, text: () => 'Echo: hi' },
  { tool: 'modern_echo', args: { text: 'over and out' }, text: () => 'over and out' },
];

interface Column {
  readonly name: string;
  readonly client: OfficialClient;
  /** The revision the client must agree on; undefined when it does not tell. */
  readonly revision: string | undefined;
  readonly tools: readonly string[];
}

const columns: readonly Column[] = [
  { name: 'the official client 1.x', client: sdk1, revision: '2025-11-25', tools: TOOLS },
  { name: 'the official client 2.x', client: sdk2, revision: '2026-07-28', tools: TOOLS },
  {
    name: 'the inspector as a legacy client',
    client: inspector('legacy'),
    revision: undefined,
    tools: [...TOOLS, ...WITH_ROOTS],
  },
  {
    name: 'the inspector as a modern client',
    client: inspector('modern'),
    revision: undefined,
    tools: [...TOOLS, ...WITH_ROOTS],
  },
];

describe.each(columns)('$name, at a gateway of six upstreams of which one is down,', ({ client, revision, tools }) => {
  test.each(CALLS)('lists all living tools and calls $tool', { timeout: 60_000 }, async ({ tool, args, text }) => {
    const findings = await client(callerOf(gateway, 'all').url, gateway.apiKey, tool, args);
    expect(findings).toEqual({ tools: [...tools].sort(), text: text(), revision });
  });
});

test('the list tells which upstream is missing, and why', async () => {
  const session = await openSession(callerOf(gateway, 'all'));
  const { messages } = await post(session, { jsonrpc: '2.0', id: 1, method: 'tools/list' });
  const message =
    'The upstream "down" refused the connection. Check that it is running and that its URL has the right host and port.';
  expect(messages).toMatchObject([
    { result: { _meta: { 'portcullis/unavailable': [{ upstream: 'down', message }] } } },
  ]);
});
