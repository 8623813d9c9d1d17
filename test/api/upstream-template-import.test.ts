import { readdirSync, readFileSync } from 'node:fs';
import { type JsonObject, toJson } from '@bufbuild/protobuf';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  type UpstreamTemplateContent,
  UpstreamTemplateContentSchema,
} from '../../gen/portcullis/v1/upstream_template_pb.ts';
import { UpstreamTemplateService } from '../../gen/portcullis/v1/upstream_template_service_pb.ts';
import { createInstallation, type Installation, refusalOf } from './installation.ts';

const FIXTURES = new URL('fixtures/server-json/', import.meta.url);

function readFixture(name: string): JsonObject {
  return JSON.parse(readFileSync(new URL(`${name}.json`, FIXTURES), 'utf8')) as JsonObject;
}

/** The content as the API's JSON. */
function contentOf(template: { readonly content?: UpstreamTemplateContent | undefined } | undefined) {
  return template?.content === undefined ? undefined : toJson(UpstreamTemplateContentSchema, template.content);
}

function stdio(command: string, ...args: string[]) {
  return {
    stdio: { command, args, sharing: 'CONNECTION_SHARING_PER_PRINCIPAL', maxProcesses: 32, idleTimeout: '300s' },
  };
}

let gateway: Installation;
let count = 0;

beforeAll(async () => {
  gateway = await createInstallation();
});
afterAll(() => gateway.close());

const templates = () => gateway.as(gateway.admin, UpstreamTemplateService);

function importDocument(serverJson: JsonObject, source = '') {
  count += 1;
  return templates().importUpstreamTemplate({ serverJson, source, slug: `imported-${count}` });
}

async function importContent(serverJson: JsonObject, source = '') {
  const { template, source: taken } = await importDocument(serverJson, source);
  return { source: taken, content: contentOf(template) };
}

async function violationsOf(serverJson: JsonObject, source = '') {
  const refusal = await refusalOf(importDocument(serverJson, source));
  expect(refusal.code).toBe('InvalidArgument');
  return refusal.violations;
}

/** A document of one npm package with these parts. */
function npm(parts: JsonObject): JsonObject {
  return { name: 'com.example/x', packages: [{ registryType: 'npm', identifier: 'x', version: '1.0.0', ...parts }] };
}

/** A document of one remote with these parts. */
function remote(parts: JsonObject): JsonObject {
  return { name: 'com.example/x', remotes: [{ type: 'streamable-http', url: 'https://x.example/mcp', ...parts }] };
}

describe('a server.json is imported', () => {
  it('with its name, title, description and page', async () => {
    const { template, source } = await templates().importUpstreamTemplate({
      serverJson: { ...readFixture('azure') },
    });
    expect(source).toBe('packages[1]');
    expect(template).toMatchObject({
      slug: 'azure',
      displayName: 'Azure MCP Server',
      description: 'All Azure MCP tools.',
      documentationUrl: 'https://github.com/microsoft/mcp/tree/main/servers/Azure.Mcp.Server',
      builtIn: false,
    });
    expect(contentOf(template)).toEqual({ transport: stdio('npx', '-y', '@azure/mcp@1.0.0', 'server', 'start') });
  });

  it('from its remote first, whose secret header becomes a setting', async () => {
    expect(await importContent(readFixture('context7'))).toEqual({
      source: 'remotes[0]',
      content: {
        transport: { streamableHttp: { url: 'https://mcp.context7.com/mcp' } },
        headers: { authorization: `\${Authorization}` },
        settings: [
          {
            name: 'Authorization',
            description: 'API key for authentication. Accepts "Bearer <key>" or the raw key.',
            type: 'SETTING_TYPE_STRING',
            secret: true,
          },
        ],
      },
    });
  });

  it('from the package that the request names', async () => {
    expect(await importContent(readFixture('context7'), 'packages[1]')).toEqual({
      source: 'packages[1]',
      content: {
        transport: stdio('npx', '-y', '@upstash/context7-mcp@2.0.2'),
        env: { CONTEXT7_API_KEY: `\${CONTEXT7_API_KEY}` },
        settings: [
          {
            name: 'CONTEXT7_API_KEY',
            description: 'API key for authentication',
            type: 'SETTING_TYPE_STRING',
            secret: true,
          },
        ],
      },
    });
  });

  it('of an image, whose secrets are kept off the command line', async () => {
    expect(await importContent(readFixture('github'))).toEqual({
      source: 'packages[0]',
      content: {
        transport: stdio(
          'docker',
          'run',
          '-i',
          '--rm',
          '-e',
          'GITHUB_PERSONAL_ACCESS_TOKEN',
          'github/github-mcp-server:0.20.0',
        ),
        env: { GITHUB_PERSONAL_ACCESS_TOKEN: `\${token}` },
        settings: [{ name: 'token', type: 'SETTING_TYPE_STRING', required: true, secret: true }],
      },
    });
  });

  it('of an image with variables that have defaults of their formats', async () => {
    const { content } = await importContent(readFixture('terraform'));
    expect(content).toMatchObject({
      transport: {
        stdio: {
          args: [
            'run',
            '-i',
            '--rm',
            '-e',
            'TFE_ADDRESS',
            '-e',
            'TFE_TOKEN',
            '-e',
            'ENABLE_TF_OPERATIONS',
            'hashicorp/terraform-mcp-server:1.1.0',
          ],
        },
      },
      env: { TFE_ADDRESS: `\${address}`, TFE_TOKEN: `\${token}`, ENABLE_TF_OPERATIONS: `\${enabled}` },
      settings: [
        { name: 'address', type: 'SETTING_TYPE_STRING', defaultValue: 'https://app.terraform.io' },
        { name: 'token', type: 'SETTING_TYPE_STRING', secret: true },
        { name: 'enabled', type: 'SETTING_TYPE_BOOLEAN', defaultValue: false },
      ],
    });
  });

  it('of an npm package with flags that are left out when nothing is given for them', async () => {
    expect((await importContent(readFixture('mongodb'))).content).toMatchObject({
      transport: stdio(
        'npx',
        '-y',
        'mongodb-mcp-server@1.2.0',
        `--maxDocumentsPerQuery=\${maxDocumentsPerQuery}`,
        `--logPath=\${logPath}`,
      ),
      settings: [
        { name: 'MDB_MCP_CONNECTION_STRING', secret: true },
        { name: 'MDB_MCP_READ_ONLY', type: 'SETTING_TYPE_BOOLEAN' },
        { name: 'maxDocumentsPerQuery', type: 'SETTING_TYPE_NUMBER' },
        { name: 'logPath', type: 'SETTING_TYPE_STRING' },
      ],
    });
  });

  it('of a Python package with arguments of its runner', async () => {
    expect((await importContent(readFixture('serena'))).content).toMatchObject({
      transport: stdio('uvx', '-p', '3.13', 'start-mcp-server', `--context=\${context}`, 'serena-agent@1.7.0'),
      settings: [{ name: 'context', defaultValue: 'desktop-app' }],
    });
  });

  it('of July 2025, when packages named no transport', async () => {
    const document = readFixture('exa');
    expect(await importContent(document)).toEqual({
      source: 'remotes[0]',
      content: {
        transport: {
          sse: {
            url: 'https://mcp.exa.ai/mcp?tools=web_search_exa,web_search_advanced_exa,crawling_exa',
            sharing: 'CONNECTION_SHARING_PER_PRINCIPAL',
          },
        },
      },
    });
    expect((await importContent(document, 'packages[0]')).content).toEqual({
      transport: stdio('npx', '-y', 'exa-mcp-server@3.2.0'),
    });
  });

  it('of July 2025, in the spelling of then', async () => {
    const document = readFixture('filesystem');
    expect(await importContent(document)).toEqual({
      source: 'packages[0]',
      content: {
        transport: stdio('npx', '-y', '@modelcontextprotocol/server-filesystem@1.0.2', `\${target_dir}`),
        env: { LOG_LEVEL: `\${LOG_LEVEL}` },
        settings: [
          {
            name: 'LOG_LEVEL',
            description: 'Logging level (debug, info, warn, error)',
            type: 'SETTING_TYPE_STRING',
            defaultValue: 'info',
          },
          {
            name: 'target_dir',
            description: 'Path to access',
            type: 'SETTING_TYPE_STRING',
            required: true,
            defaultValue: '/Users/username/Desktop',
          },
        ],
      },
    });
    expect((await importContent(document, 'packages[1]')).content).toMatchObject({
      transport: {
        stdio: {
          args: [
            'run',
            '-i',
            '--rm',
            `--mount=type=bind,src=\${source_path},dst=\${target_path}`,
            '-e',
            'LOG_LEVEL',
            'images.example/mcp/filesystem:1.0.2',
            '/project',
          ],
        },
      },
      settings: [
        { name: 'LOG_LEVEL' },
        { name: 'source_path', type: 'SETTING_TYPE_PATH', required: true },
        { name: 'target_path', type: 'SETTING_TYPE_STRING', required: true, defaultValue: '/project' },
      ],
    });
  });

  it('with choices, in a header and in a flag', async () => {
    const document = readFixture('hybrid');
    expect(await importContent(document)).toMatchObject({
      source: 'remotes[0]',
      content: {
        transport: { sse: { url: 'https://mcp.anonymous.modelcontextprotocol.io/sse' } },
        headers: { 'x-api-key': `\${X_API_Key}`, 'x-region': `\${X_Region}` },
        settings: [
          { name: 'X_API_Key', required: true, secret: true },
          { name: 'X_Region', choices: ['us-east-1', 'eu-west-1', 'ap-southeast-1'], defaultValue: 'us-east-1' },
        ],
      },
    });
    expect((await importContent(document, 'remotes[1]')).content).toEqual({
      transport: { streamableHttp: { url: 'https://mcp.anonymous.modelcontextprotocol.io/http' } },
    });
    expect((await importContent(document, 'packages[0]')).content).toMatchObject({
      transport: stdio('npx', '-y', '@example/hybrid-mcp-server@1.5.0', `--mode=\${mode}`),
      settings: [{ name: 'mode', choices: ['local', 'cached', 'proxy'], defaultValue: 'local' }],
    });
  });

  it('with variables in the URL, of which one may be all of its beginning', async () => {
    const document = readFixture('tenants');
    expect((await importContent(document)).content).toMatchObject({
      transport: { streamableHttp: { url: `https://\${tenant_id}.api.example.com/mcp` } },
      settings: [{ name: 'tenant_id', type: 'SETTING_TYPE_STRING', required: true }],
    });
    expect((await importContent(document, 'remotes[1]')).content).toMatchObject({
      transport: { streamableHttp: { url: `\${baseUrl}/mcp` } },
      settings: [{ name: 'baseUrl', type: 'SETTING_TYPE_URL', required: true }],
    });
  });

  it("from an answer of the registry's API, with a variable of a secret that nothing else is said of", async () => {
    expect((await importContent(readFixture('notion-hosted'))).content).toMatchObject({
      headers: { authorization: `Bearer \${smithery_api_key}` },
      settings: [{ name: 'smithery_api_key', required: true, secret: true }],
    });
  });
});

describe('an input of a server.json', () => {
  const text = '$';

  it('keeps the characters that begin a place as they are', async () => {
    const environmentVariables = [{ name: 'A', value: `a ${text}{B} ${text}${text}{C}` }];
    expect((await importContent(npm({ environmentVariables }))).content).toMatchObject({
      env: { A: `a ${text}${text}{B} ${text}${text}${text}{C}` },
    });
  });

  it('takes ${NAME} for a declared variable as people mean it', async () => {
    const environmentVariables = [{ name: 'A', value: `a ${text}{B}`, variables: { B: {} } }];
    expect((await importContent(npm({ environmentVariables }))).content).toMatchObject({ env: { A: `a ${text}{B}` } });
  });

  it('leaves braces alone that name no variable', async () => {
    const environmentVariables = [{ name: 'A', value: '{"b": {c}}' }];
    expect((await importContent(npm({ environmentVariables }))).content).toMatchObject({ env: { A: '{"b": {c}}' } });
  });

  it('is fixed where a variable has a value', async () => {
    const headers = [{ name: 'X-A', value: '{b}-{c}', variables: { b: { value: 'B' }, c: { default: 'C' } } }];
    expect((await importContent(remote({ headers }))).content).toMatchObject({
      headers: { 'x-a': `B-\${c}` },
      settings: [{ name: 'c', defaultValue: 'C' }],
    });
  });

  it('shares a variable that is described alike, and no other', async () => {
    const token = { isSecret: true };
    const headers = [
      { name: 'X-A', value: '{token}', variables: { token } },
      { name: 'X-B', value: '{token}', variables: { token } },
      { name: 'X-C', value: '{token}', variables: { token: { ...token, isRequired: true } } },
    ];
    expect((await importContent(remote({ headers }))).content).toMatchObject({
      headers: { 'x-a': `\${token}`, 'x-b': `\${token}`, 'x-c': `\${token_2}` },
      settings: [
        { name: 'token', secret: true },
        { name: 'token_2', secret: true, required: true },
      ],
    });
  });

  it('is a text where its default or a choice is not of its format', async () => {
    const environmentVariables = [
      { name: 'A', format: 'number', default: '5' },
      { name: 'B', format: 'number', default: '5 s' },
      { name: 'C', format: 'filepath', default: './data' },
      { name: 'D', format: 'boolean', choices: ['true', 'maybe'] },
      { name: 'E', default: 'e', choices: ['f'] },
      { name: 'F', isSecret: true, default: 'changeme' },
    ];
    expect((await importContent(npm({ environmentVariables }))).content).toMatchObject({
      settings: [
        { name: 'A', type: 'SETTING_TYPE_NUMBER', defaultValue: 5 },
        { name: 'B', type: 'SETTING_TYPE_STRING', defaultValue: '5 s' },
        { name: 'C', type: 'SETTING_TYPE_STRING', defaultValue: './data' },
        { name: 'D', type: 'SETTING_TYPE_STRING', choices: ['true', 'maybe'] },
        { name: 'E', defaultValue: 'e', choices: ['e', 'f'] },
        { name: 'F', type: 'SETTING_TYPE_STRING', secret: true },
      ],
    });
    const { content } = await importContent(npm({ environmentVariables }));
    expect(JSON.stringify(content)).not.toContain('changeme');
  });

  it('becomes arguments that are left out as a whole when they may be', async () => {
    const packageArguments = [
      { type: 'named', name: '--bare' },
      { type: 'named', name: '--on', value: 'true', format: 'boolean' },
      { type: 'named', name: '--off', value: 'false', format: 'boolean' },
      { type: 'named', name: '-p', value: '80' },
      { type: 'named', name: '-q', description: 'optional' },
      { type: 'named', name: '-r', description: 'required', isRequired: true },
      { type: 'named', name: '-long', description: 'optional' },
      { type: 'positional', valueHint: 'file', description: 'optional' },
      { type: 'positional', value: 'a b' },
    ];
    expect((await importContent(npm({ packageArguments }))).content).toMatchObject({
      transport: {
        stdio: {
          args: [
            '-y',
            'x@1.0.0',
            '--bare',
            '--on',
            '-p',
            '80',
            `-q\${q}`,
            '-r',
            `\${r}`,
            `-long=\${long}`,
            `\${file}`,
            'a b',
          ],
        },
      },
    });
  });

  it('of uvx gives the version with --from, else with the name', async () => {
    const packages = (runtimeArguments: JsonObject[]) => ({
      name: 'com.example/x',
      packages: [
        { registryType: 'pypi', identifier: 'x-server', version: '1.0', runtimeHint: 'uvx', runtimeArguments },
      ],
    });
    expect((await importContent(packages([]))).content).toEqual({ transport: stdio('uvx', 'x-server@1.0') });
    const from = [{ type: 'named', name: '--from', value: 'x==1.0' }];
    expect((await importContent(packages(from))).content).toEqual({
      transport: stdio('uvx', '--from=x==1.0', 'x-server'),
    });
  });
});

describe('a server.json is refused', () => {
  it.each<[string, JsonObject, string, { field: string; description: string }[]]>([
    [
      'for packages that only other programs run',
      {
        name: 'com.example/x',
        packages: [
          { registryType: 'nuget', identifier: 'X', version: '1.0.0' },
          { registryType: 'mcpb', identifier: 'https://x.example/x.mcpb' },
        ],
      },
      '',
      [
        {
          field: 'server_json.packages[0].registryType',
          description: 'is not a kind of package that the gateway can run: npm, pypi or oci',
        },
        {
          field: 'server_json.packages[1].registryType',
          description: 'is not a kind of package that the gateway can run: npm, pypi or oci',
        },
      ],
    ],
    [
      'for a package that serves HTTP',
      npm({ transport: { type: 'streamable-http', url: 'http://localhost:1/mcp' } }),
      '',
      [
        {
          field: 'server_json.packages[0].transport.type',
          description: 'is not stdio: the gateway speaks to processes that it runs over stdio only',
        },
      ],
    ],
    [
      'for a secret in an argument',
      npm({ packageArguments: [{ type: 'named', name: '--token', isSecret: true, description: 'Token' }] }),
      '',
      [
        {
          field: 'server_json.packages[0].packageArguments[0]',
          description: 'is a secret in an argument, which every process of the machine can read',
        },
      ],
    ],
    [
      'for a secret in the URL',
      remote({ url: 'https://x.example/{key}/mcp', variables: { key: { isSecret: true } } }),
      '',
      [
        {
          field: 'server_json.remotes[0].variables.key',
          description: 'is a secret in a URL, where logs would show it',
        },
      ],
    ],
    [
      'for a header that belongs to MCP',
      remote({ headers: [{ name: 'Mcp-Session-Id', value: '1' }] }),
      '',
      [
        {
          field: 'server_json.remotes[0]',
          description:
            'makes a template that is not valid: content.headers "mcp-session-id" belongs to HTTP or MCP and cannot be set',
        },
      ],
    ],
    [
      'for a variable that changes what the command runs',
      npm({ environmentVariables: [{ name: 'NODE_OPTIONS' }] }),
      '',
      [
        {
          field: 'server_json.packages[0]',
          description:
            'makes a template that is not valid: content.env "NODE_OPTIONS" can change what the command runs and cannot be set',
        },
      ],
    ],
    [
      'for a URL that is none',
      remote({ url: 'mailto:x' }),
      '',
      [
        {
          field: 'server_json.remotes[0]',
          description:
            'makes a template that is not valid: content.transport.streamable_http.url must begin with "http://", with "https://", or with the place of a setting of the type URL',
        },
      ],
    ],
    [
      'for an identifier that is an option',
      npm({ identifier: '--eval' }),
      '',
      [{ field: 'server_json.packages[0].identifier', description: 'is not the name of a package of npm' }],
    ],
    [
      'for an identifier that is a place to download from',
      npm({ identifier: 'git+https://x.example/y' }),
      '',
      [{ field: 'server_json.packages[0].identifier', description: 'is not the name of a package of npm' }],
    ],
    [
      'for a version that is a variable',
      npm({ version: '$VERSION' }),
      '',
      [{ field: 'server_json.packages[0].version', description: 'must be one version, not a range or a variable' }],
    ],
    [
      'for arguments of a command that is not known',
      npm({ runtimeHint: 'node', runtimeArguments: [{ type: 'positional', value: 'index.js' }] }),
      '',
      [
        {
          field: 'server_json.packages[0].runtimeHint',
          description: 'is not a command that the import knows for this kind of package: npx',
        },
      ],
    ],
    [
      'when it has nothing to take',
      { name: 'com.example/x' },
      '',
      [{ field: 'server_json', description: 'has neither remotes nor packages' }],
    ],
    [
      'when it lacks the source that is asked for',
      remote({}),
      'packages[0]',
      [{ field: 'source', description: 'is not in the document, which has: remotes[0]' }],
    ],
  ])('%s', async (_, document, source, violations) => {
    expect(await violationsOf(document, source)).toEqual(violations);
  });

  it.each<[string, unknown, string, string]>([
    ['name', 5, 'server_json.name', 'must be a text'],
    ['name', '', 'server_json.name', 'must be given'],
    ['title', {}, 'server_json.title', 'must be a text'],
    ['websiteUrl', 1, 'server_json.websiteUrl', 'must be a text'],
    ['repository', 'x', 'server_json.repository', 'must be an object'],
    ['remotes', {}, 'server_json.remotes', 'must be a list'],
    ['remotes', ['x'], 'server_json.remotes[0]', 'must be an object'],
    ['remotes', [{}], 'server_json.remotes[0].type', 'must be given'],
    [
      'remotes',
      [{ type: 'stdio', url: 'x' }],
      'server_json.remotes[0].type',
      'is not a transport of remotes: streamable-http or sse',
    ],
    ['remotes', [{ type: 'sse', url: ['x'] }], 'server_json.remotes[0].url', 'must be a text'],
    [
      'remotes',
      [{ type: 'sse', url: 'https://x', headers: [[]] }],
      'server_json.remotes[0].headers[0]',
      'must be an object',
    ],
    [
      'remotes',
      [{ type: 'sse', url: 'https://x', variables: [] }],
      'server_json.remotes[0].variables',
      'must be an object',
    ],
    ['packages', 'x', 'server_json.packages', 'must be a list'],
    [
      'packages',
      [{ registryType: 'constructor' }],
      'server_json.packages[0].registryType',
      'is not a kind of package that the gateway can run: npm, pypi or oci',
    ],
    [
      'packages',
      [{ registryType: 'npm', identifier: 'x', version: 1 }],
      'server_json.packages[0].version',
      'must be a text',
    ],
    [
      'packages',
      [{ registryType: 'npm', identifier: 'x', packageArguments: [{ type: 'other' }] }],
      'server_json.packages[0].packageArguments[0].type',
      'must be "positional" or "named"',
    ],
    [
      'packages',
      [{ registryType: 'npm', identifier: 'x', packageArguments: [{ type: 'named', name: '--a <b>' }] }],
      'server_json.packages[0].packageArguments[0].name',
      'must be the name of the flag alone, without a value',
    ],
    [
      'packages',
      [{ registryType: 'npm', identifier: 'x', environmentVariables: [{ name: 'A', isSecret: 'yes' }] }],
      'server_json.packages[0].environmentVariables[0].isSecret',
      'must be true or false',
    ],
    [
      'packages',
      [{ registryType: 'npm', identifier: 'x', environmentVariables: [{ name: 'A', default: 5 }] }],
      'server_json.packages[0].environmentVariables[0].default',
      'must be a text',
    ],
    [
      'packages',
      [{ registryType: 'npm', identifier: 'x', environmentVariables: [{ name: 'A', choices: 'a' }] }],
      'server_json.packages[0].environmentVariables[0].choices',
      'must be a list',
    ],
    [
      'packages',
      [{ registryType: 'oci', identifier: 'x', registryBaseUrl: 'x' }],
      'server_json.packages[0].registryBaseUrl',
      'must be a URL',
    ],
  ])('when %s is %j', async (key, value, field, description) => {
    const document = { name: 'com.example/x', [key]: value } as JsonObject;
    expect(await violationsOf(document)).toEqual([{ field, description }]);
  });

  it('when no slug can be made from its name', async () => {
    const serverJson = { ...remote({}), name: 'com.example/…' };
    expect(await refusalOf(templates().importUpstreamTemplate({ serverJson }))).toMatchObject({
      violations: [{ field: 'slug', description: 'must be given: none can be made from the name in the document' }],
    });
  });

  it('and never fails otherwise, whatever takes the place of a part of it', async () => {
    const fixtures = readdirSync(FIXTURES).map((file) => readFixture(file.replace('.json', '')));
    const garbage = fc.oneof(fc.jsonValue({ maxDepth: 2 }), fc.constantFrom(null, [], {}, '', '${', '{x}', -1, true));
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...fixtures), fc.nat(), garbage, async (fixture, index, value) => {
        const document = replaceNth(fixture, index, value) as JsonObject;
        const refusal = await importDocument(document).then(
          () => undefined,
          (error: unknown) => refusalOf(Promise.reject(error)),
        );
        expect(['InvalidArgument', undefined]).toContain(refusal?.code);
      }),
      { numRuns: 300 },
    );
  });
});

describe('a server.json that asks for too much', () => {
  it('is refused by the name of its package, before anything reads that', async () => {
    const identifier = `a${':'.repeat(20_000)}/`;
    expect(await violationsOf({ name: 'com.example/x', packages: [{ registryType: 'oci', identifier }] })).toEqual([
      { field: 'server_json.packages[0].identifier', description: 'is not the name of a package of oci' },
    ]);
  });

  it('is refused at its 101st setting, also when all of them would get the same name', async () => {
    const headers = Array.from({ length: 101 }, (_, index) => ({ name: `A${'-'.repeat(index)}`, default: `${index}` }));
    const remotes = [{ type: 'sse', url: 'https://mcp.example.com/sse', headers }];
    expect(await violationsOf({ name: 'com.example/x', remotes })).toEqual([
      { field: 'server_json.remotes[0]', description: 'asks for more than 100 values, which a template cannot have' },
    ]);
  });
});

/** A copy of a document in which another value takes the place of one part, counted through all of them. */
function replaceNth(document: unknown, index: number, value: unknown): unknown {
  let left = index % countParts(document);
  const copy = (part: unknown): unknown => {
    if (left === 0) {
      left -= 1;
      return value;
    }
    left -= 1;
    if (Array.isArray(part)) return part.map(copy);
    if (typeof part !== 'object' || part === null) return part;
    return Object.fromEntries(Object.entries(part).map(([key, inner]) => [key, copy(inner)]));
  };
  // The document itself stays an object, as the API's schema demands.
  return Object.fromEntries(Object.entries(document as object).map(([key, part]) => [key, copy(part)]));
}

function countParts(part: unknown): number {
  if (typeof part !== 'object' || part === null) return 1;
  return 1 + Object.values(part).reduce<number>((sum, inner) => sum + countParts(inner), 0);
}
