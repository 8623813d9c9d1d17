import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
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
  expect(targets).toHaveLength(6);
  expect(files).toEqual(expect.arrayContaining(targets));
});

it('uses nothing that only Node has', async () => {
  const code = await Promise.all(
    files.filter((path) => path.endsWith('.js')).map((path) => readFile(join(work, 'source', path), 'utf8')),
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
