import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { SettingType } from '../../gen/portcullis/v1/upstream_template_pb.ts';
import type { PortcullisClient } from '../../sdk/src/client.ts';
import type { PortcullisError } from '../../sdk/src/errors.ts';
import type { GatewayProcess } from '../support/gateway-process.ts';
import { streamableHttp } from './support-api.ts';
import { createCleanUp } from './support-clean-up.ts';
import { callerOf, openSession, post, postModern, toolCall } from './support-mcp-session.ts';
import { operatorOf, slugRef } from './support-policies.ts';
import { type RecordingUpstream, startRecordingUpstream } from './support-recording-upstream.ts';

type Json = Record<string, unknown>;

const LONG_NAME = 'n'.repeat(300);
/** As a gateway shows it behind the prefix `odd_`: 64 characters, the last of which are a digest. */
const LONG_NAME_SHOWN = /^odd_n{51}_[A-Za-z0-9_-]{8}$/;
/** So many tools of 400 KiB each that a list of them has several pages. */
const LARGE_TOOLS = 12;
/** Describes a tree: each node holds nodes. */
const RECURSIVE = {
  type: 'object',
  properties: { node: { $ref: '#/$defs/node' }, secret: { type: 'string' } },
  required: ['node', 'secret'],
  $defs: { node: { type: 'object', properties: { children: { type: 'array', items: { $ref: '#/$defs/node' } } } } },
};

let gateway: GatewayProcess;
let operator: PortcullisClient;
let odd: RecordingUpstream;
const cleanUp = createCleanUp();

beforeAll(async () => {
  gateway = await cleanUp.startGateway({ env: { GATEWAY_DEMO_UPSTREAM: 'false', GATEWAY_DATABASE_URL: 'memory://' } });
  operator = await operatorOf(gateway);
  odd = await cleanUp.add(startRecordingUpstream(oddTools()), ({ stop }) => stop());
  const plain = await cleanUp.add(startRecordingUpstream(), ({ stop }) => stop());
  const { createUpstream } = operator.upstreams;
  await createUpstream({ slug: 'odd', transport: streamableHttp(odd.url) });
  await createUpstream({ slug: 'shop', transport: streamableHttp(plain.url) });
  await createUpstream({ slug: 'shop', version: 'v2', transport: streamableHttp(plain.url) });
  const tools = { tree: { fixedArguments: { secret: 'told by nobody' } } };
  await operator.gateways.createGateway({ slug: 'mall', upstreams: [{ slug: 'odd', tools }, { slug: 'shop' }] });
  await operator.gateways.createGateway({ slug: 'arcade', upstreams: [{ slug: 'shop' }, { slug: 'odd' }] });
});

afterAll(cleanUp.run);

describe('a gateway is not saved', () => {
  test('[I4-BAD] with two upstreams that have the same prefix', async () => {
    expect(await refusalOf([{ slug: 'shop' }, { slug: 'odd', namePrefix: 'shop' }])).toEqual([
      {
        field: 'upstreams[1].name_prefix',
        description: 'puts "shop_" before its names, as upstreams[0] does; set another name_prefix',
      },
    ]);
    expect(await refusalOf([{ slug: 'shop' }, { slug: 'shop', version: 'v2' }])).toMatchObject([
      { field: 'upstreams[1].name_prefix' },
    ]);
  });

  test('[I4-BAD] with an upstream in a version that it does not have', async () => {
    expect(await refusalOf([{ slug: 'odd' }, { slug: 'shop', version: 'v3' }])).toEqual([
      { field: 'upstreams[1]', description: 'the upstream "shop" has no version "v3", only v1, v2' },
    ]);
  });

  test('[I4-BAD] with an override of a key that no upstream has', async () => {
    const patch = { upstreams: [{ slug: 'shop', command: 'rm' }] };
    const error = await failureOf(operator.gateways.patchGateway({ gateway: slugRef('mall'), patch }));
    expect([error.reason, error.violations]).toEqual([
      'validation_failed',
      [
        {
          field: 'patch.upstreams[0].command',
          description:
            'is not a key here; use one of slug, version, input_guardrails, output_guardrails, tool_filter, name_prefix, tools, timeout',
        },
      ],
    ]);
  });

  test('[I4-BAD] with a tool that is renamed to 300 characters', async () => {
    const tools = { look: { name: LONG_NAME } };
    expect(await refusalOf([{ slug: 'shop', tools }])).toMatchObject([{ field: 'upstreams[0].tools["look"].name' }]);
  });
});

test('[I4-BAD] a setting of a template that is of the wrong type is refused, with what it has to be', async () => {
  const url = `http://127.0.0.1:\${port}/mcp`;
  const settings = [{ name: 'port', type: SettingType.INTEGER, required: true }];
  await operator.upstreamTemplates.createUpstreamTemplate({
    slug: 'local',
    content: { transport: streamableHttp(url), settings },
  });
  const kinds = [
    { case: 'stringValue', value: '8080' },
    { case: 'numberValue', value: 80.5 },
    { case: 'boolValue', value: true },
  ] as const;
  for (const kind of kinds) {
    const template = { slug: 'local', settings: { port: { kind } } };
    const error = await failureOf(operator.upstreams.createUpstream({ slug: 'made', template }));
    expect([error.reason, error.violations]).toEqual([
      'validation_failed',
      [
        {
          field: 'template.settings.port',
          description: 'must be a whole number between -9007199254740991 and 9007199254740991',
        },
      ],
    ]);
  }
  await expect(operator.upstreams.getUpstream({ upstream: slugRef('made') })).rejects.toMatchObject({
    reason: 'permission_denied',
  });
});

describe.each(['legacy', 'modern'] as const)('a %s client', (era) => {
  test('[I4-BAD] is not shown a tool whose schema is 1 MiB, and has all others', async () => {
    const names = await namesOf(era, 'mall');
    const large = Array.from({ length: LARGE_TOOLS }, (_, index) => `odd_large-${index}`);
    const others = ['odd_tree', 'shop_look', 'shop_touch', 'shop_break'];
    expect(names.filter((name) => !LONG_NAME_SHOWN.test(name)).sort()).toEqual([...large, ...others].sort());
    expect(await ask(era, 'mall', toolCall(1, 'odd_huge'))).toMatchObject({
      code: -32602,
      message:
        "The tool 'huge' of the upstream 'odd' is not offered: its definition is larger than 512 KiB or nested too deeply.",
      data: { reason: 'not_offered' },
    });
    expect(odd.calls.map(({ name }) => name)).not.toContain('huge');
  });

  test('[I4-BAD] finds and calls a tool whose schema is recursive, also where the gateway changes it', async () => {
    const [mall, arcade] = [await list(era, 'mall'), await list(era, 'arcade')];
    expect(mall.tools.find(({ name }) => name === 'odd_tree')?.['inputSchema']).toEqual({
      ...RECURSIVE,
      properties: { node: RECURSIVE.properties.node },
      required: ['node'],
    });
    expect(arcade.tools.find(({ name }) => name === 'odd_tree')?.['inputSchema']).toEqual(RECURSIVE);
    const node = { children: [{ children: [] }] };
    expect(await ask(era, 'mall', toolCall(1, 'odd_tree', { node }))).toMatchObject({ content: [{ text: 'tree' }] });
    expect(odd.calls.at(-1)).toMatchObject({ arguments: { node, secret: 'told by nobody' } });
  });

  test('[I4-BAD] may not use the cursor of another gateway', async () => {
    const { nextCursor } = await list(era, 'mall');
    expect(nextCursor).toMatch(/./);
    expect(await ask(era, 'arcade', listing(nextCursor))).toEqual({
      code: -32602,
      message: "'params.cursor' was not given for this list: list from the beginning",
    });
  });

  test('[I4-BAD] is refused a tool name of 300 characters that nobody has', async () => {
    expect(await ask(era, 'mall', toolCall(1, `odd_${LONG_NAME}`))).toMatchObject({
      code: -32602,
      message: `Unknown tool: odd_${'n'.repeat(196)}…`,
      data: { reason: 'not_offered' },
    });
  });

  test('[I4-BAD] calls a tool whose name is 300 characters by a name that fits 64', async () => {
    const { tools } = await list(era, 'mall');
    const shown = tools.find(({ name }) => LONG_NAME_SHOWN.test(name));
    expect(shown).toMatchObject({ _meta: { 'portcullis/upstream': 'odd', 'portcullis/tool': LONG_NAME } });
    expect(await ask(era, 'mall', toolCall(1, shown?.name ?? ''))).toMatchObject({ content: [{ text: LONG_NAME }] });
  });
});

function oddTools(): Json[] {
  const properties = (bytes: number) => ({ text: { type: 'string', description: 'x'.repeat(bytes) } });
  const large = Array.from({ length: LARGE_TOOLS }, (_, index) => ({
    name: `large-${index}`,
    inputSchema: { type: 'object', properties: properties(400 * 1024) },
  }));
  return [
    { name: 'huge', inputSchema: { type: 'object', properties: properties(2 ** 20) } },
    { name: 'tree', inputSchema: RECURSIVE },
    { name: LONG_NAME, inputSchema: { type: 'object' } },
    ...large,
  ];
}

/** What is wrong with a gateway of these upstreams, which must not exist afterwards. */
async function refusalOf(upstreams: Parameters<PortcullisClient['gateways']['createGateway']>[0]['upstreams']) {
  const error = await failureOf(operator.gateways.createGateway({ slug: 'refused', ...(upstreams && { upstreams }) }));
  expect(error).toMatchObject({ reason: 'validation_failed' });
  await expect(operator.gateways.getGateway({ gateway: slugRef('refused') })).rejects.toMatchObject({
    reason: 'permission_denied',
  });
  return error.violations;
}

async function failureOf(call: Promise<unknown>): Promise<PortcullisError> {
  return call.then(
    () => Promise.reject(new Error('it was not refused')),
    (error: PortcullisError) => error,
  );
}

function listing(cursor?: unknown) {
  return { jsonrpc: '2.0', id: 1, method: 'tools/list', params: cursor === undefined ? {} : { cursor } };
}

interface Listed extends Json {
  readonly tools: (Json & { readonly name: string })[];
  readonly nextCursor?: string;
}

async function list(era: 'legacy' | 'modern', slug: string): Promise<Listed> {
  return (await ask(era, slug, listing())) as Listed;
}

/** Names of all tools, on all pages. */
async function namesOf(era: 'legacy' | 'modern', slug: string): Promise<string[]> {
  const names: string[] = [];
  let page = await list(era, slug);
  for (;;) {
    names.push(...page.tools.map(({ name }) => name));
    if (page.nextCursor === undefined) return names;
    page = (await ask(era, slug, listing(page.nextCursor))) as Listed;
  }
}

/** The result or the error of one request at a gateway. */
async function ask(era: 'legacy' | 'modern', slug: string, message: Json & { params: Json }): Promise<Json> {
  const caller = callerOf(gateway, slug);
  const { messages } = await (era === 'legacy'
    ? post(await openSession(caller), message)
    : postModern(caller, message));
  const answer = messages.at(-1);
  return (answer?.['result'] ?? answer?.['error']) as Json;
}
