import { mkdtempSync, realpathSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Effect } from '../../gen/portcullis/v1/policy_rule_pb.ts';
import { PolicyService } from '../../gen/portcullis/v1/policy_service_pb.ts';
import { Era } from '../../gen/portcullis/v1/upstream_pb.ts';
import { UpstreamService } from '../../gen/portcullis/v1/upstream_service_pb.ts';
import { startFixture } from '../conformance/fixture.ts';
import type { GatewayProcess } from '../support/gateway-process.ts';
import { serveEverything } from '../upstream/http-clients.ts';
import { SDK_STDIO_PROGRAM, serveSdk } from '../upstream/sdk-upstream.ts';
import { apiOf, sse, stdio, streamableHttp } from './support-api.ts';
import { createCleanUp } from './support-clean-up.ts';
import {
  type Arguments,
  connectSdk1,
  connectSdk2,
  inspector,
  type OfficialClient,
  sdk1,
  sdk2,
} from './support-clients.ts';
import { EVERYTHING, FILESYSTEM, MEMORY } from './support-known-tools.ts';
import { callerOf, openSession, post, toolCall } from './support-mcp-session.ts';
import { type RecordingUpstream, startRecordingUpstream } from './support-recording-upstream.ts';

let gateway: GatewayProcess;
let recorder: RecordingUpstream;
const cleanUp = createCleanUp();
/** Made here and not in a hook, because the table of upstreams names it. */
const folder = realpathSync(mkdtempSync(join(tmpdir(), 'portcullis-clients-')));

const FAKE_STDIO_PROGRAM = fileURLToPath(new URL('../upstream/fake-stdio-upstream.ts', import.meta.url));

beforeAll(async () => {
  const commands = ['mcp-server-everything', 'mcp-server-filesystem', 'mcp-server-memory', process.execPath];
  await cleanUp.add(Promise.resolve(folder), () => rm(folder, { recursive: true }));
  gateway = await cleanUp.startGateway({
    env: { GATEWAY_STDIO_COMMANDS: commands.join(','), GATEWAY_DEMO_UPSTREAM: 'false' },
  });
  const fixture = await cleanUp.add(startFixture(), ({ close }) => close());
  recorder = await cleanUp.add(startRecordingUpstream(), ({ stop }) => stop());
  const [everythingSse, everythingHttp, modernOnly] = await Promise.all([
    cleanUp.add(serveEverything('sse'), ({ stop }) => stop()),
    cleanUp.add(serveEverything('streamableHttp'), ({ stop }) => stop()),
    cleanUp.add(serveSdk({ legacy: 'reject' }), ({ stop }) => stop()),
  ]);
  const memory = { name: 'MEMORY_FILE_PATH', value: join(folder, 'memory.json') };
  const { createUpstream } = apiOf(gateway, UpstreamService);
  await createUpstream({ slug: 'everything-stdio', transport: stdio('mcp-server-everything', ['stdio']) });
  await createUpstream({ slug: 'everything-sse', transport: sse(everythingSse.url) });
  await createUpstream({ slug: 'everything-http', transport: streamableHttp(everythingHttp.url) });
  await createUpstream({ slug: 'filesystem', transport: stdio('mcp-server-filesystem', [folder]) });
  await createUpstream({ slug: 'memory', transport: stdio('mcp-server-memory', []), env: [memory] });
  await createUpstream({ slug: 'fixture', transport: streamableHttp(fixture.url) });
  await createUpstream({ slug: 'modern-only', transport: streamableHttp(modernOnly.url), era: Era.MODERN });
  await createUpstream({ slug: 'both-stdio', transport: stdio(process.execPath, [SDK_STDIO_PROGRAM]) });
  const toolFilter = { deniedTools: ['break', 'crash'] };
  await createUpstream({ slug: 'recorder', transport: streamableHttp(recorder.url), toolFilter });
  await createUpstream({ slug: 'fake', transport: stdio(process.execPath, [FAKE_STDIO_PROGRAM]), toolFilter });
  const kind = { case: 'effect' as const, value: { effect: Effect.REQUIRE_APPROVAL } };
  await apiOf(gateway, PolicyService).createPolicy({
    slug: 'touching',
    content: {
      targets: [{ upstreamPattern: 'recorder', toolPattern: 'touch' }],
      rules: [{ id: 'ask-first', message: 'Ask Ann first.', kind }],
    },
  });
});

afterAll(cleanUp.run);

const FIXTURE = [
  'json_schema_2020_12_tool',
  'test_audio_content',
  'test_elicitation',
  'test_elicitation_sep1034_defaults',
  'test_elicitation_sep1330_enums',
  'test_embedded_resource',
  'test_error_handling',
  'test_image_content',
  'test_input_required_result_capabilities',
  'test_input_required_result_elicitation',
  'test_input_required_result_list_roots',
  'test_input_required_result_multi_round',
  'test_input_required_result_multiple_inputs',
  'test_input_required_result_request_state',
  'test_input_required_result_sampling',
  'test_input_required_result_tampered_state',
  'test_logging_tool',
  'test_missing_capability',
  'test_multiple_content_types',
  'test_reconnection',
  'test_sampling',
  'test_simple_text',
  'test_streaming_elicitation',
  'test_tool_with_logging',
  'test_tool_with_progress',
  'test_trigger_prompt_change',
  'test_trigger_tool_change',
  'test_x_mcp_header',
];
/** The fixture offers tasks to modern clients only. */
const FIXTURE_TASKS = [
  'confirm_delete',
  'failing_job',
  'greet',
  'multi_input',
  'protocol_error_job',
  'slow_compute',
  'test_tool_with_task',
];
const SDK = ['echo', 'regional'];

/** An upstream with its tools, and one call with the text of its answer. */
interface Row {
  readonly slug: string;
  readonly tools: readonly string[];
  readonly call: { readonly tool: string; readonly args: Arguments; readonly text: string };
}

const sum = { tool: 'get-sum', args: { a: 19, b: 23 }, text: 'The sum of 19 and 23 is 42.' };
const allowed = { tool: 'list_allowed_directories', args: {}, text: `Allowed directories:\n${folder}` };
const search = { tool: 'search_nodes', args: { query: 'x' }, text: '{\n  "entities": [],\n  "relations": []\n}' };
const simple = { tool: 'test_simple_text', args: {}, text: 'This is a simple text response for testing.' };
const echo = { tool: 'echo', args: { text: 'over and out' }, text: 'over and out' };

/** Upstreams that speak the legacy era only. */
const ofLegacy: readonly Row[] = [
  { slug: 'everything-stdio', tools: EVERYTHING, call: sum },
  { slug: 'everything-sse', tools: EVERYTHING, call: sum },
  { slug: 'everything-http', tools: EVERYTHING, call: sum },
  { slug: 'filesystem', tools: FILESYSTEM, call: allowed },
  { slug: 'memory', tools: MEMORY, call: search },
];
/** Upstreams of both eras, as legacy clients see them. */
const ofBothInLegacy: readonly Row[] = [
  { slug: 'fixture', tools: FIXTURE, call: simple },
  { slug: 'both-stdio', tools: SDK, call: echo },
];
const modernOnly = { slug: 'modern-only', tools: SDK, call: echo };
/** Upstreams that speak the modern era, as modern clients see them. */
const ofModern: readonly Row[] = [
  { slug: 'fixture', tools: [...FIXTURE, ...FIXTURE_TASKS], call: simple },
  { slug: 'both-stdio', tools: SDK, call: echo },
  modernOnly,
];

/** Without roots server-everything hides a tool; the inspector declares them. */
const withRoots = (row: Row): Row =>
  row.tools === EVERYTHING ? { ...row, tools: [...EVERYTHING, 'get-roots-list'] } : row;

interface Column {
  readonly name: string;
  readonly client: OfficialClient;
  /** The revision the client must agree on; undefined when it does not tell. */
  readonly revision: string | undefined;
  readonly rows: readonly Row[];
}

const inLegacy = [...ofLegacy, ...ofBothInLegacy, modernOnly];
const inModern = [...ofLegacy, ...ofModern];

const columns: readonly Column[] = [
  { name: 'the official client 1.x', client: sdk1, revision: '2025-11-25', rows: inLegacy },
  { name: 'the official client 2.x', client: sdk2, revision: '2026-07-28', rows: inModern },
  {
    name: 'the inspector as a legacy client',
    client: inspector('legacy'),
    revision: undefined,
    rows: inLegacy.map(withRoots),
  },
  {
    name: 'the inspector as a modern client',
    client: inspector('modern'),
    revision: undefined,
    rows: inModern.map(withRoots),
  },
];

describe.each(columns)('$name', ({ client, revision, rows }) => {
  test.each(rows)('lists and calls the tools of $slug', async ({ slug, tools, call }) => {
    const findings = await client(callerOf(gateway, slug).url, gateway.apiKey, call.tool, call.args);
    expect(findings).toEqual({ tools: [...tools].sort(), text: call.text, revision });
  });
});

const DENIED = "The tool filter of the upstream 'recorder' denies 'break'.";

describe('a tool that the tool filter denies', () => {
  test('answers -32001 to a legacy client, and the upstream never sees the call', async () => {
    const client = await connectSdk1(callerOf(gateway, 'recorder').url, gateway.apiKey);
    const before = recorder.calls.length;
    await expect(client.callTool({ name: 'break', arguments: { cup: 1 } })).rejects.toMatchObject({
      code: -32001,
      message: `MCP error -32001: ${DENIED}`,
    });
    await client.callTool({ name: 'look', arguments: { at: 'legacy' } });
    expect(recorder.calls.slice(before).map(({ name }) => name)).toEqual(['look']);
    await client.close();
  });

  test('answers -31001 to a modern client, and the upstream never sees the call', async () => {
    const client = await connectSdk2(callerOf(gateway, 'recorder').url, gateway.apiKey);
    const before = recorder.calls.length;
    await expect(client.callTool({ name: 'break', arguments: { cup: 1 } })).rejects.toMatchObject({
      code: -31001,
      message: DENIED,
    });
    await client.callTool({ name: 'look', arguments: { at: 'modern' } });
    expect(recorder.calls.slice(before).map(({ name }) => name)).toEqual(['look']);
    await client.close();
  });

  test('never reaches the process of a stdio upstream', async () => {
    const session = await openSession(callerOf(gateway, 'fake'));
    const denied = await post(session, toolCall(1, 'crash'));
    expect(denied.messages).toMatchObject([{ id: 1, error: { code: -32001 } }]);
    const seen = await post(session, toolCall(2, 'received'));
    expect(methodsOf(seen.messages)).toEqual(['initialize', 'notifications/initialized', 'tools/call']);
  });
});

/** What the fake upstream says it has received. */
function methodsOf(messages: readonly unknown[]): unknown[] {
  const [answer] = messages as [{ result: { received: { method: string }[] } }];
  return answer.result.received.map(({ method }) => method);
}

describe('a rule that requires approval', () => {
  test('answers -32002 to a legacy client, and the upstream never sees the call', async () => {
    const client = await connectSdk1(callerOf(gateway, 'recorder').url, gateway.apiKey);
    const before = recorder.calls.length;
    await expect(client.callTool({ name: 'touch' })).rejects.toMatchObject({
      code: -32002,
      message: 'MCP error -32002: Ask Ann first.',
      data: { reason: 'rule', rule_ids: ['touching/ask-first'] },
    });
    expect(recorder.calls.length).toBe(before);
    await client.close();
  });

  test('answers -31002 to a modern client, and the upstream never sees the call', async () => {
    const client = await connectSdk2(callerOf(gateway, 'recorder').url, gateway.apiKey);
    const before = recorder.calls.length;
    await expect(client.callTool({ name: 'touch' })).rejects.toMatchObject({
      code: -31002,
      message: 'Ask Ann first.',
      data: { reason: 'rule', rule_ids: ['touching/ask-first'] },
    });
    expect(recorder.calls.length).toBe(before);
    await client.close();
  });
});

describe('a client of the other era than its upstream', () => {
  test('that is legacy uses it all the same', async () => {
    const client = await connectSdk1(callerOf(gateway, 'modern-only').url, gateway.apiKey);
    expect((await client.listTools()).tools.map(({ name }) => name)).toEqual(['echo', 'regional']);
    const answer = await client.callTool({ name: 'regional', arguments: { region: 'eu' } });
    expect(answer).toMatchObject({ content: [{ text: 'region eu' }] });
    await client.close();
  });

  test('that is modern uses it all the same', async () => {
    const call = inspector('modern')(callerOf(gateway, 'memory').url, gateway.apiKey, 'read_graph', {});
    expect(JSON.stringify(await call)).toContain('entities');
  });
});
