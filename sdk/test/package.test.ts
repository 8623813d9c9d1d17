import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { fromJson } from '@bufbuild/protobuf';
import { ValueSchema } from '@bufbuild/protobuf/wkt';
import { Code, ConnectError } from '@connectrpc/connect';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ErrorInfoSchema } from '../../gen/google/rpc/error_details_pb.ts';
import { Effect } from '../../gen/portcullis/v1/policy_rule_pb.ts';
import { type FakeServices, startFakeGateway } from './fake-gateway.ts';

const run = promisify(execFile);
const sdk = join(import.meta.dirname, '..');
const modules = join(sdk, '../node_modules');
const tsc = join(modules, '.bin/tsc');
const manifest = JSON.parse(await readFile(join(sdk, 'package.json'), 'utf8')) as {
  exports: Record<string, unknown>;
  dependencies: Record<string, string>;
};

let work = '';
let files: string[] = [];

/** An empty project with the packed SDK installed; what npm would fetch comes from the repository's node_modules. */
beforeAll(async () => {
  work = await mkdtemp(join(tmpdir(), 'portcullis-sdk-'));
  const source = join(work, 'source');
  await mkdir(source);
  for (const file of ['package.json', 'README.md', 'LICENSE']) {
    await cp(join(sdk, file), join(source, file));
  }
  await run(tsc, ['-p', sdk, '--outDir', join(source, 'dist')]);
  await run(tsc, ['-p', join(sdk, 'tsconfig.cli.json'), '--outDir', join(source, 'dist')]);
  const { stdout } = await run('npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', work], {
    cwd: source,
  });
  // npm 12 answers with an object by name where older ones answer with an array.
  const [packed] = Object.values(JSON.parse(stdout) as Record<string, { filename: string; files: { path: string }[] }>);
  files = packed?.files.map(({ path }) => path) ?? [];

  const installed = join(work, 'project/node_modules/@portcullis/sdk');
  await mkdir(installed, { recursive: true });
  await run('tar', ['-xzf', join(work, packed?.filename ?? ''), '-C', installed, '--strip-components=1']);
  for (const dependency of Object.keys(manifest.dependencies)) {
    const target = join(work, 'project/node_modules', dependency);
    await mkdir(dirname(target), { recursive: true });
    await symlink(join(modules, dependency), target);
  }
  await writeFile(join(work, 'project/package.json'), '{"type":"module","private":true}');
}, 120_000);

afterAll(() => rm(work, { recursive: true, force: true }));

/** All snippets of the README as one program. */
async function readmeProgram(baseUrl: string): Promise<string> {
  const readme = await readFile(join(sdk, 'README.md'), 'utf8');
  const snippets = [...readme.matchAll(/^```ts\n(.*?)^```$/gms)].map(([, code]) => code);
  expect(snippets).toHaveLength(6);
  return snippets.join('\n').replaceAll('http://127.0.0.1:8000', baseUrl);
}

async function check(file: string, options: string[]): Promise<string> {
  const strict = ['--strict', '--exactOptionalPropertyTypes', '--noUncheckedIndexedAccess', '--types', '*'];
  const lib = ['--target', 'es2022', '--lib', 'es2022,dom,dom.iterable,dom.asynciterable'];
  return run(tsc, [file, ...strict, ...lib, ...options], { cwd: join(work, 'project') }).then(
    ({ stdout }) => stdout,
    ({ stdout }: { stdout: string }) => stdout,
  );
}

it('holds the README, the licence, and code with types for each entry point, and nothing else', () => {
  expect(files).toEqual(expect.arrayContaining(['LICENSE', 'README.md', 'package.json', 'dist/sdk/src/index.js']));
  expect(files.filter((path) => !/^(LICENSE|README\.md|package\.json|dist\/.+\.(js|d\.ts))$/.test(path))).toEqual([]);
  const targets = JSON.stringify(manifest.exports).match(/dist\/[^"]+/g) ?? [];
  expect(targets).toHaveLength(8);
  expect(files).toEqual(expect.arrayContaining(targets));
});

it('uses nothing that only Node has, but for the command', async () => {
  const code = await Promise.all(
    files
      .filter((path) => /^(?!dist\/sdk\/cli\/).*\.js$/.test(path))
      .map((path) => readFile(join(work, 'source', path), 'utf8')),
  );

  const imports = new Set(
    code.flatMap((text) => [...text.matchAll(/ from ['"]([^.'"][^'"]*)['"]/g)].map(([, name]) => name)),
  );
  expect(imports).toEqual(
    new Set([
      '@bufbuild/protobuf',
      '@bufbuild/protobuf/codegenv2',
      '@bufbuild/protobuf/wkt',
      '@connectrpc/connect',
      '@connectrpc/connect-web',
    ]),
  );
});

describe('installed into an empty project', () => {
  it.each([
    ['nodenext', ['--module', 'nodenext', '--moduleResolution', 'nodenext']],
    ['bundler', ['--module', 'esnext', '--moduleResolution', 'bundler']],
  ])('type checks the README with moduleResolution %s', async (name, options) => {
    const file = `readme-${name}.ts`;
    await writeFile(join(work, 'project', file), await readmeProgram('http://127.0.0.1:8000'));

    expect(await check(file, ['--noEmit', ...options])).toBe('');
  });

  it('refuses what the types do not allow', async () => {
    const program = [
      `import { createPortcullisClient, isPortcullisError, paginate } from '@portcullis/sdk';`,
      `const client = createPortcullisClient({ baseUrl: 'http://127.0.0.1', apiKey: 'a', token: 'b' });`,
      `createPortcullisClient({ apiKey: 'a' });`,
      `paginate(client.upstreams.listUpstreams, { pagesize: 3 });`,
      `paginate(client.tools.callTool, {});`,
      `isPortcullisError(undefined, 'no_such_reason');`,
      `import { createGuard, guardMiddleware } from '@portcullis/sdk/guard';`,
      `createGuard(client, { agentId: 'bot', onError: 'pass' });`,
      `createGuard(client, {});`,
      `createGuard(client, { agentId: 'bot' })('pay', (amount: number) => amount)('20');`,
      `guardMiddleware({}, { client, agentId: 'bot' });`,
    ];
    await writeFile(join(work, 'project/wrong.ts'), program.join('\n'));

    const problems = await check('wrong.ts', ['--noEmit', '--module', 'nodenext']);

    expect([...problems.matchAll(/wrong\.ts\((\d+),/g)].map(([, line]) => line)).toEqual([
      '2',
      '3',
      '4',
      '5',
      '6',
      '8',
      '9',
      '10',
      '11',
    ]);
  });

  it('runs the README', async () => {
    const { baseUrl, requests } = await startFakeGateway(README_GATEWAY);
    await writeFile(join(work, 'project/readme.ts'), await readmeProgram(baseUrl));
    expect(await check('readme.ts', ['--module', 'nodenext', '--outDir', 'out'])).toBe('');

    const program = spawn(process.execPath, ['out/readme.js'], {
      cwd: join(work, 'project'),
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const lines: string[] = [];
    for await (const line of createInterface(program.stdout)) {
      lines.push(line);
      // The last snippet watches until it is stopped.
      if (lines.length === 8) program.kill();
    }
    if (program.exitCode === null && program.signalCode === null) await once(program, 'exit');

    expect(lines).toEqual([
      'Echo: hello',
      'Nothing may be deleted here. no-deletes',
      'everything',
      'files',
      'ada',
      'Refunded 20 for A-1.',
      'Authorization denied: Refunds above 100 are not allowed.',
      'delete_everything Nothing may be deleted here.',
    ]);
    expect(new Set(requests.map(({ authorization }) => authorization))).toEqual(
      new Set(['Bearer pc_your_key', undefined, 'Bearer access-1']),
    );
  });
});

/** A gateway that knows what the README asks for. */
const README_GATEWAY: FakeServices = {
  tools: {
    callTool: ({ name, arguments: args }) => {
      if (name !== 'echo') {
        throw new ConnectError('Nothing may be deleted here.', Code.PermissionDenied, undefined, [
          {
            desc: ErrorInfoSchema,
            value: { reason: 'ERROR_REASON_POLICY_DENIED', domain: 'portcullis', metadata: { rule: 'no-deletes' } },
          },
        ]);
      }
      const text = args?.['message'] === 'hello' ? 'Echo: hello' : 'no message';
      return { callId: 'call-1', content: [{ value: { case: 'text', value: { text } } }] };
    },
    authorize: ({ arguments: args }) =>
      Number(args?.['amount']) > 100
        ? { outcome: Effect.DENY, decisionId: 'call-2', message: 'Refunds above 100 are not allowed.' }
        : { outcome: Effect.ALLOW, decisionId: 'call-3' },
  },
  upstreams: {
    listUpstreams: ({ pageToken }) =>
      pageToken === ''
        ? { upstreams: [{ slug: 'everything' }], nextPageToken: 'p2' }
        : { upstreams: [{ slug: 'files' }] },
  },
  auth: {
    login: ({ username, password }) => ({ accessToken: username === 'ada' && password !== '' ? 'access-1' : '' }),
    getCaller: () => ({ caller: { name: 'ada' } }),
  },
  decisions: {
    async *watchDecisions(_, { signal }) {
      const decision = { tool: 'delete_everything', message: 'Nothing may be deleted here.' };
      yield { value: { case: 'decision', value: decision }, cursor: 'c1' };
      await new Promise((resolve) => signal.addEventListener('abort', resolve));
    },
  },
};

describe('the command that writes typed tools', () => {
  const command = [
    'node_modules/@portcullis/sdk/dist/sdk/cli/main.js',
    'tools',
    '--gateway',
    'dev',
    '--out',
    'tools.ts',
  ];

  function runCommand(baseUrl: string, ...more: string[]) {
    const env = { ...process.env, PORTCULLIS_URL: baseUrl, PORTCULLIS_API_KEY: 'pc_your_key' };
    return run(process.execPath, [...command, ...more], { cwd: join(work, 'project'), env }).then(
      ({ stdout, stderr }) => ({ code: 0, stdout, stderr }),
      ({ code, stdout, stderr }: { code: number; stdout: string; stderr: string }) => ({ code, stdout, stderr }),
    );
  }

  it('writes functions that the compiler checks and that call the tools', async () => {
    const { baseUrl } = await startFakeGateway(TYPED_GATEWAY);
    expect(await runCommand(baseUrl)).toEqual({
      code: 0,
      stdout: 'Wrote 3 tools of dev to tools.ts.\n',
      stderr: '',
    });
    const program = [
      `import { createPortcullisClient } from '@portcullis/sdk';`,
      `import { ToolFailedError } from '@portcullis/sdk/tools';`,
      `import { createTools } from './tools.js';`,
      `const tools = createTools(createPortcullisClient({ baseUrl: '${baseUrl}', apiKey: 'pc_your_key' }));`,
      `const issue = await tools.github.createIssue({ title: 'Broken', labels: ['bug'] });`,
      `console.log(issue.structuredContent.number + 1, issue.text, issue.callId);`,
      `console.log((await tools.github.listIssues()).text);`,
      `await tools.filesV2.read({ path: '/nothing' }).catch((error) => {`,
      `  console.log(error instanceof ToolFailedError, error.message);`,
      `});`,
      `await tools.filesV2.read({ path: Number.NaN as unknown as string }).catch((error) => console.log(String(error)));`,
    ];
    await writeFile(join(work, 'project/typed.ts'), program.join('\n'));
    expect(await check('typed.ts', ['--module', 'nodenext', '--outDir', 'typed'])).toBe('');

    const { stdout } = await run(process.execPath, ['typed/typed.js'], { cwd: join(work, 'project') });
    expect(stdout.split('\n')).toEqual([
      '8 Created 7. call-1',
      'None.',
      'true There is no file "/nothing".',
      "TypeError: files_read: 'arguments.path' is NaN, which can't be sent.",
      '',
    ]);
  });

  it('has the compiler refuse calls that the schemas do not allow', async () => {
    const { baseUrl } = await startFakeGateway(TYPED_GATEWAY);
    await runCommand(baseUrl);
    const program = [
      `import type { Tools } from './tools.js';`,
      `declare const tools: Tools;`,
      `tools.github.createIssue();`,
      `tools.github.createIssue({});`,
      `tools.github.createIssue({ title: 3 });`,
      `tools.github.createIssue({ title: 'a', lables: [] });`,
      `tools.github.closeIssue({});`,
      `tools.gitlab;`,
      `(await tools.github.createIssue({ title: 'a' })).structuredContent.nummer;`,
      `tools.github.listIssues({ state: 'opne' });`,
    ];
    await writeFile(join(work, 'project/mistyped.ts'), program.join('\n'));

    const problems = await check('mistyped.ts', ['--noEmit', '--module', 'nodenext']);

    const lines = [...problems.matchAll(/mistyped\.ts\((\d+),/g)].map(([, line]) => line);
    expect(lines).toEqual(['3', '4', '5', '6', '7', '8', '9', '10']);
  });

  it('tells when the tools are not those of the file any more, and changes nothing then', async () => {
    const { baseUrl } = await startFakeGateway(TYPED_GATEWAY);
    await runCommand(baseUrl);
    expect(await runCommand(baseUrl, '--check')).toEqual({
      code: 0,
      stdout: 'tools.ts is what dev offers.\n',
      stderr: '',
    });
    const written = await readFile(join(work, 'project/tools.ts'), 'utf8');

    const drifted = await startFakeGateway({ tools: { listTools: () => ({ tools: typedTools.slice(0, 2) }) } });
    const { code, stderr } = await runCommand(drifted.baseUrl, '--check');

    expect(code).toBe(1);
    expect(stderr).toMatch(
      /^tools\.ts is not what the tools are now\. Write it again: npx @portcullis\/sdk tools --gateway dev --out tools\.ts\nLine \d+:\n- .+\n\+ .+\n$/,
    );
    expect(await readFile(join(work, 'project/tools.ts'), 'utf8')).toBe(written);
    await rm(join(work, 'project/tools.ts'));
    expect(await runCommand(baseUrl, '--check')).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/^tools\.ts does not exist/),
    });
  });

  it('says what is wrong with a command, and why a gateway refuses', async () => {
    const { baseUrl } = await startFakeGateway({});
    expect(await runCommand(baseUrl, '--upstream', 'files')).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/^Name either --gateway or --upstream\./),
    });
    expect(await runCommand(baseUrl, '--gatway', 'x')).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/^Unknown option '--gatway'/),
    });
    expect(await runCommand(baseUrl)).toMatchObject({ code: 2, stderr: expect.stringMatching(/\(unknown\)\n$/) });
    expect(await runCommand('http://127.0.0.1:1')).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/\(connection_failed\)\n$/),
    });
  });
});

const typedTools = [
  {
    name: 'files_read',
    upstreamSlug: 'files',
    upstreamVersion: 'v2',
    upstreamToolName: 'read',
    inputSchema: { type: 'object', properties: { path: { type: 'string' } }, required: ['path'] },
  },
  {
    name: 'github_create_issue',
    description: 'Creates an issue.',
    upstreamSlug: 'github',
    upstreamVersion: 'v1',
    upstreamToolName: 'create_issue',
    inputSchema: {
      type: 'object',
      properties: { title: { type: 'string' }, labels: { type: 'array', items: { type: 'string' } } },
      required: ['title'],
    },
    outputSchema: { type: 'object', properties: { number: { type: 'integer' } }, required: ['number'] },
  },
  {
    name: 'github_list_issues',
    upstreamSlug: 'github',
    upstreamVersion: 'v1',
    upstreamToolName: 'list_issues',
    inputSchema: { type: 'object', properties: { state: { enum: ['open', 'closed'] } } },
  },
];

/** A gateway with three tools, in two pages. */
const TYPED_GATEWAY: FakeServices = {
  tools: {
    listTools: ({ gateway, pageToken }) => {
      expect(gateway?.value).toEqual({ case: 'slug', value: 'dev' });
      return pageToken === '' ? { tools: typedTools.slice(0, 2), nextPageToken: 'p2' } : { tools: typedTools.slice(2) };
    },
    callTool: ({ name, arguments: args }) => {
      const text = (value: string) => [{ value: { case: 'text' as const, value: { text: value } } }];
      switch (name) {
        case 'github_create_issue':
          expect(args).toEqual({ title: 'Broken', labels: ['bug'] });
          return {
            callId: 'call-1',
            content: text('Created 7.'),
            structuredContent: fromJson(ValueSchema, { number: 7 }),
          };
        case 'github_list_issues':
          return { callId: 'call-2', content: text('None.') };
        default:
          return {
            callId: 'call-3',
            content: text(`There is no file ${JSON.stringify(args?.['path'])}.`),
            isError: true,
          };
      }
    },
  },
};
