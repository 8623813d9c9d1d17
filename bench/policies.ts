import { join } from 'node:path';
import { type Cell, measureCell } from './capacity.ts';
import { createTemporaryFolder } from './child-process.ts';
import { callApi, createUpstream, embeddedEnvironment, type RunningGateway, startGateway } from './gateway.ts';
import type { Plan } from './plan.ts';
import { createQuietRepeat } from './quiet-repeat.ts';
import { formatTable, type Section } from './report.ts';
import { writeRequestFile } from './requests.ts';
import { formatNumber, formatSpread, ratiosOf, spreadOf } from './statistics.ts';
import { startUpstream, type Target } from './targets.ts';
import { runWrk } from './wrk.ts';

interface Governed {
  readonly gateway: RunningGateway;
  readonly target: Target;
  readonly cells: Cell[];
}

const CONNECTIONS = 16;
const POLICIES = 100;
const CONSTRAINTS = 20;

/** What policies cost a governed call: none, against 100 of which one puts 20 constraints on the tool (modern era). */
export async function measurePolicies(plan: Plan, say: (line: string) => void): Promise<Section> {
  const upstream = await startUpstream('1');
  const plain = await start('no policy', upstream.port);
  const governed = await start(`${POLICIES} policies, ${CONSTRAINTS} constraints`, upstream.port);
  for (let number = 0; number < POLICIES; number++) {
    await callApi(governed.gateway, 'PolicyService/CreatePolicy', policyNumber(number));
  }
  for (const { target } of [plain, governed]) {
    await runWrk(target.port, target.requestFiles.modern, CONNECTIONS, plan.warmSeconds);
  }
  const quiet = createQuietRepeat(plan.repeats);
  for (let round = 1; round <= plan.rounds; round++) {
    say(`policies, round ${round} of ${plan.rounds}`);
    for (const { target, cells } of [plain, governed]) {
      cells.push(await quiet.run(() => measureCell(target, upstream.child.pid, 'modern', CONNECTIONS, 2)));
    }
  }
  for (const { gateway } of [plain, governed]) await gateway.child.stop();
  await upstream.child.stop();
  return report(plain, governed, plan);
}

async function start(name: string, upstreamPort: number): Promise<Governed> {
  const dataDir = createTemporaryFolder('policies');
  const gateway = await startGateway({ cores: '0', env: embeddedEnvironment(dataDir) });
  const url = `http://127.0.0.1:${upstreamPort}/modern`;
  await createUpstream(gateway, { slug: 'bench', url, era: 'modern', commit: 'before_forward' });
  const requestFile = join(dataDir, 'requests');
  writeRequestFile(requestFile, 'modern', [{ port: gateway.port, path: '/v1/mcp/bench', apiKey: gateway.apiKey }]);
  const target = {
    name,
    port: gateway.port,
    pid: gateway.child.pid,
    requestFiles: { modern: requestFile, legacy: requestFile },
  };
  return { gateway, target, cells: [] };
}

/** The first guards the called tool with its constraints, all of which pass; the others guard other tools. */
function policyNumber(number: number) {
  const tool = number === 0 ? 'echo' : `tool-${number}`;
  return {
    slug: `bench-${number}`,
    content: {
      priority: 500,
      targets: [{ toolPattern: tool }],
      rules: [{ arguments: { constraints: constraints() } }],
    },
  };
}

/** Some of every type; the call has `text` only, so half of them look at a value. */
function constraints() {
  const onText = [
    { regex: '^call [0-9]{6} ' },
    { regex: '[a-z]+' },
    { notRegex: 'password' },
    { minLength: 1, maxLength: 1_000 },
    { maxLength: 2_000 },
    { minLength: 10 },
    { notIn: ['drop', 'delete', 'truncate'] },
    { notIn: Array.from({ length: 100 }, (_, i) => `forbidden-${i}`) },
    { notRegex: '(?i)drop table' },
    { maxLength: 64 },
  ].map((string) => ({ path: 'text', required: true, string }));
  const onOthers = Array.from({ length: CONSTRAINTS - onText.length }, (_, i) => ({
    path: `options[*].amount${i}`,
    ...(i % 2 === 0 ? { number: { minimum: 0, maximum: 100 } } : { array: { maxItems: 10 } }),
  }));
  return [...onText, ...onOthers];
}

function report(plain: Governed, governed: Governed, plan: Plan): Section {
  const cpuOf = ({ cells }: Governed) => cells.map((cell) => cell.cpuMicros);
  const ratio = spreadOf(ratiosOf(cpuOf(governed), cpuOf(plain)));
  const rows = [plain, governed].map((one) => [
    one.target.name,
    formatSpread(spreadOf(one.cells.map((cell) => cell.callsPerSecond))),
    formatSpread(spreadOf(cpuOf(one)), 1),
    formatNumber(one.cells.reduce((sum, cell) => sum + cell.wrk.refused, 0)),
  ]);
  return {
    title: 'Policies',
    foreign: spreadOf([plain, governed].flatMap(({ cells }) => cells.map((cell) => cell.load.foreign))),
    text: [
      `${CONNECTIONS} connections, modern era, before_forward, embedded database; ${plan.rounds} rounds in turn.`,
      formatTable(['in the project', 'calls/s', 'CPU µs a call', 'refused'], rows),
    ].join('\n\n'),
    checks: [
      {
        what: `CPU per call with ${governed.target.name}, of that with ${plain.target.name}`,
        asked: '≤ 1.15',
        measured: formatSpread(ratio, 2),
        ok: ratio.median <= 1.15,
      },
    ],
  };
}
