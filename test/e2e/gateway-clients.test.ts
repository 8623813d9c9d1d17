import { mkdtempSync, realpathSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { GatewayService } from '../../gen/portcullis/v1/gateway_service_pb.ts';
import { Era } from '../../gen/portcullis/v1/upstream_pb.ts';
import { UpstreamService } from '../../gen/portcullis/v1/upstream_service_pb.ts';
import { startFixture } from '../conformance/fixture.ts';
import type { GatewayProcess } from '../support/gateway-process.ts';
import { serveEverything } from '../upstream/http-clients.ts';
import { apiOf, sse, stdio, streamableHttp } from './support-api.ts';
import { createCleanUp } from './support-clean-up.ts';
import { connectSdk1, connectSdk2, inspector } from './support-clients.ts';
import { callerOf } from './support-mcp-session.ts';

let gateway: GatewayProcess;
let url = '';
const cleanUp = createCleanUp();
const folder = realpathSync(mkdtempSync(join(tmpdir(), 'portcullis-gateway-')));

beforeAll(async () => {
  const commands = ['mcp-server-everything', 'mcp-server-filesystem', 'mcp-server-memory'];
  await cleanUp.add(Promise.resolve(folder), () => rm(folder, { recursive: true }));
  gateway = await cleanUp.startGateway({
    env: { GATEWAY_STDIO_COMMANDS: commands.join(','), GATEWAY_DEMO_UPSTREAM: 'false' },
  });
  const fixture = await cleanUp.add(startFixture(), ({ close }) => close());
  const everything = await cleanUp.add(serveEverything('sse'), ({ stop }) => stop());
  const memory = { name: 'MEMORY_FILE_PATH', value: join(folder, 'memory.json') };
  const { createUpstream } = apiOf(gateway, UpstreamService);
  await createUpstream({ slug: 'everything', transport: stdio('mcp-server-everything', ['stdio']) });
  await createUpstream({ slug: 'files', transport: stdio('mcp-server-filesystem', [folder]) });
  await createUpstream({ slug: 'memory', transport: stdio('mcp-server-memory', []), env: [memory] });
  await createUpstream({ slug: 'old', transport: sse(everything.url) });
  await createUpstream({ slug: 'new', transport: streamableHttp(fixture.url), era: Era.MODERN });
  await createUpstream({ slug: 'down', transport: streamableHttp('http://127.0.0.1:9/mcp') });
  const slugs = ['everything', 'files', 'memory', 'old', 'new', 'down'];
  await apiOf(gateway, GatewayService).createGateway({ slug: 'all', upstreams: slugs.map((slug) => ({ slug })) });
  url = callerOf(gateway, 'all').url;
});

afterAll(cleanUp.run);

const EVERYTHING = [
  'echo',
  'get-annotated-message',
  'get-env',
  'get-resource-links',
  'get-resource-reference',
  'get-structured-content',
  'get-sum',
  'get-tiny-image',
  'gzip-file-as-resource',
  'simulate-research-query',
  'toggle-simulated-logging',
  'toggle-subscriber-updates',
  'trigger-long-running-operation',
];
const FILES = [
  'create_directory',
  'directory_tree',
  'edit_file',
  'get_file_info',
  'list_allowed_directories',
  'list_directory',
  'list_directory_with_sizes',
  'move_file',
  'read_file',
  'read_media_file',
  'read_multiple_files',
  'read_text_file',
  'search_files',
  'write_file',
];
const MEMORY = [
  'add_observations',
  'create_entities',
  'create_relations',
  'delete_entities',
  'delete_observations',
  'delete_relations',
  'open_nodes',
  'read_graph',
  'search_nodes',
];
/** How many tools the modern fixture has; their names are those of its own test. */
const FIXTURE_COUNT = 35;
const DOCUMENTS = ['architecture', 'extension', 'features', 'how-it-works', 'instructions', 'startup', 'structure'];
const documentsOf = (slug: string) => DOCUMENTS.map((name) => `${slug}+demo://resource/static/document/${name}.md`);
const DOWN = {
  upstream: 'down',
  message:
    'The upstream "down" refused the connection. Check that it is running and that its URL has the right host and port.',
};

function prefixed(slug: string, names: readonly string[]): string[] {
  return names.map((name) => `${slug}_${name}`);
}

describe.each([
  { name: 'the official client 1.x', connect: connectSdk1 },
  { name: 'the official client 2.x', connect: connectSdk2 },
])('$name', ({ connect }) => {
  /** The two clients have the same methods for this, but types of their own. */
  const open = async () => (await connect(url, gateway.apiKey)) as Awaited<ReturnType<typeof connectSdk1>>;

  test('lists what the living upstreams offer, and is told which one is down', async () => {
    const client = await open();
    const { tools, _meta } = await client.listTools();
    const names = tools.map((tool) => tool.name);
    expect(names.filter((name) => !name.startsWith('new_')).sort()).toEqual(
      [
        ...prefixed('everything', EVERYTHING),
        ...prefixed('files', FILES),
        ...prefixed('memory', MEMORY),
        ...prefixed('old', EVERYTHING),
      ].sort(),
    );
    expect(names.filter((name) => name.startsWith('new_'))).toHaveLength(FIXTURE_COUNT);
    // In the order of the gateway's upstreams.
    expect([...new Set(names.map((name) => name.split('_')[0]))]).toEqual([
      'everything',
      'files',
      'memory',
      'old',
      'new',
    ]);
    expect(tools[0]?._meta).toEqual({ 'portcullis/upstream': 'everything', 'portcullis/tool': 'echo' });
    expect(_meta).toMatchObject({ 'portcullis/unavailable': [DOWN] });

    const { prompts } = await client.listPrompts();
    const everything = ['simple-prompt', 'args-prompt', 'completable-prompt', 'resource-prompt'];
    expect(prompts.map((prompt) => prompt.name)).toEqual([
      ...prefixed('everything', everything),
      ...prefixed('old', everything),
      ...prefixed('new', [
        'test_simple_prompt',
        'test_prompt_with_arguments',
        'test_prompt_with_embedded_resource',
        'test_prompt_with_image',
        'test_input_required_result_prompt',
      ]),
    ]);
    const { resources } = await client.listResources();
    expect(resources.map(({ uri }) => uri)).toEqual([
      ...documentsOf('everything'),
      'memory://knowledge-graph',
      ...documentsOf('old'),
      'test://static-text',
      'test://static-binary',
      'test://watched-resource',
    ]);
    const { resourceTemplates } = await client.listResourceTemplates();
    expect(resourceTemplates.map(({ uriTemplate }) => uriTemplate)).toEqual([
      'everything+demo://resource/dynamic/text/{resourceId}',
      'everything+demo://resource/dynamic/blob/{resourceId}',
      'old+demo://resource/dynamic/text/{resourceId}',
      'old+demo://resource/dynamic/blob/{resourceId}',
      'test://template/{id}/data',
    ]);
    await client.close();
  });

  test.each([
    { tool: 'everything_get-sum', args: { a: 19, b: 23 }, text: 'The sum of 19 and 23 is 42.' },
    { tool: 'files_list_allowed_directories', args: {}, text: `Allowed directories:\n${folder}` },
    { tool: 'memory_read_graph', args: {}, text: '{\n  "entities": [],\n  "relations": []\n}' },
    { tool: 'old_echo', args: { message: 'x' }, text: 'Echo: x' },
    { tool: 'new_test_simple_text', args: {}, text: 'This is a simple text response for testing.' },
  ])('calls $tool', async ({ tool, args, text }) => {
    const client = await open();
    const { content } = await client.callTool({ name: tool, arguments: args });
    expect(content).toEqual([{ type: 'text', text }]);
    await client.close();
  });

  test('gets prompts, reads resources by each kind of URI, and completes', async () => {
    const client = await open();
    expect(await client.getPrompt({ name: 'everything_simple-prompt' })).toMatchObject({
      messages: [{ content: { text: 'This is a simple prompt without arguments.' } }],
    });
    const named = { name: 'new_test_prompt_with_arguments', arguments: { arg1: 'a', arg2: 'b' } };
    expect(await client.getPrompt(named)).toMatchObject({
      messages: [{ content: { text: "Prompt with arguments: arg1='a', arg2='b'" } }],
    });

    expect(await client.readResource({ uri: 'test://static-text' })).toMatchObject({
      contents: [{ uri: 'test://static-text', text: 'This is the content of the static text resource.' }],
    });
    expect(await client.readResource({ uri: 'test://template/7/data' })).toMatchObject({
      contents: [{ uri: 'test://template/7/data' }],
    });
    expect(await client.readResource({ uri: 'old+demo://resource/dynamic/text/1' })).toMatchObject({
      contents: [{ uri: 'old+demo://resource/dynamic/text/1', text: expect.stringMatching(/^Resource 1: /) }],
    });
    await expect(client.readResource({ uri: 'demo://resource/dynamic/text/1' })).rejects.toMatchObject({
      code: -32602,
      message: expect.stringContaining('Unknown resource: demo://resource/dynamic/text/1'),
    });

    const prompt = { type: 'ref/prompt' as const, name: 'everything_completable-prompt' };
    expect(await client.complete({ ref: prompt, argument: { name: 'department', value: 'E' } })).toMatchObject({
      completion: { values: ['Engineering'] },
    });
    const template = { type: 'ref/resource' as const, uri: 'test://template/{id}/data' };
    expect(await client.complete({ ref: template, argument: { name: 'id', value: '1' } })).toMatchObject({
      completion: { values: ['test-value'] },
    });
    await client.close();
  });

  test('is told what is wrong when it calls a tool of the one that is down', async () => {
    const client = await open();
    await expect(client.callTool({ name: 'down_anything', arguments: {} })).rejects.toMatchObject({
      code: -32603,
      message: expect.stringContaining(DOWN.message),
    });
    await client.close();
  });
});

test.each(['legacy', 'modern'] as const)(
  '[I4-INSPECTOR] the inspector lists all living tools and calls one, as a %s client',
  async (era) => {
    const { tools, text } = await inspector(era)(url, gateway.apiKey, 'old_echo', { message: 'hello' });
    // It declares roots, for which server-everything has another tool.
    const withRoots = [...EVERYTHING, 'get-roots-list'];
    expect(tools.filter((name) => !name.startsWith('new_'))).toEqual(
      [
        ...prefixed('everything', withRoots),
        ...prefixed('files', FILES),
        ...prefixed('memory', MEMORY),
        ...prefixed('old', withRoots),
      ].sort(),
    );
    expect(tools.filter((name) => name.startsWith('new_'))).toHaveLength(FIXTURE_COUNT);
    expect(text).toBe('Echo: hello');
  },
);
