import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type GatewayProcess, startGateway } from '../support/gateway-process.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const readme = readFileSync(`${root}README.md`, 'utf8');
const snippets = [...readme.matchAll(/^```sh\n(.*?)^```$/gms)].map((match) => match[1] ?? '');

let gateway: GatewayProcess;

beforeAll(async () => {
  gateway = await startGateway({ env: { PATH: `${root}node_modules/.bin:${process.env['PATH']}` } });
});

afterAll(() => gateway.stop());

test("[README] the snippets of the README work in their order, with the first start's key", async () => {
  const installing = ['npm ci && npm start\n', 'export PORTCULLIS_KEY=pc_…\n', 'npm ci && npm test\n'];
  const script = snippets.filter((snippet) => !installing.includes(snippet)).join('\necho; echo ---\n');
  const { stdout } = await promisify(execFile)('bash', ['-euo', 'pipefail', '-c', atGateway(script)], {
    cwd: root,
    env: { ...process.env, PORTCULLIS_KEY: gateway.apiKey },
  });
  const [call, session, denied, policy, composed, decisions, bufCurl] = stdout.split('\n---\n');
  expect(call).toContain('"text":"Echo: hello"');
  expect(session).toContain('"name":"get-env"');
  expect(session).toContain('"text":"Echo: hello"');
  expect(denied).toContain('"code":-32001');
  expect(denied).toContain("The tool filter of the upstream 'everything' denies 'get-env'");
  expect(policy).toContain('"slug":"sums"');
  expect(policy).toContain('"rule_ids":["sums/numbers"]');
  expect(policy).toMatch(/"code":-32002.*"approval_id":"[0-9a-f-]{36}"/);
  expect(composed).toContain('"namePrefix":"next"');
  expect(composed).toContain('"text":"The sum of 37 and 5 is 42."');
  expect(decisions).toContain('"reason":"DECISION_REASON_TOOL_FILTER"');
  expect(bufCurl).toContain('"slug": "everything"');
});

test('[README] the first start and the tests are one command each, as package.json has them', () => {
  expect(snippets[0]).toBe('npm ci && npm start\n');
  expect(snippets.at(-1)).toBe('npm ci && npm test\n');
});

function atGateway(script: string): string {
  return script.replaceAll('127.0.0.1:8000', `127.0.0.1:${gateway.port}`);
}
