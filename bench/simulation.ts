import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createClient } from '@connectrpc/connect';
import { createConnectTransport } from '@connectrpc/connect-node';
import { Effect, RateScope } from '../gen/portcullis/v1/policy_rule_pb.ts';
import { PolicyService, type SimulationCounts } from '../gen/portcullis/v1/policy_service_pb.ts';
import { createTemporaryFolder } from './child-process.ts';
import { callApi, embeddedEnvironment, type RunningGateway, startGateway } from './gateway.ts';
import { HttpConnection } from './http-connection.ts';
import type { Plan } from './plan.ts';
import { type Check, formatTable, type Section } from './report.ts';
import { writeAuthorizeRequests } from './requests.ts';
import { formatNumber, percentileOf } from './statistics.ts';
import { startPostgres } from './targets.ts';
import { runWrk } from './wrk.ts';

/** How many decisions are simulated, and in how many seconds (issue 3). */
const DECISIONS = 100_000;
const ASKED_SECONDS = 20;
/** What a simulation may add to the slowest calls beside it, in milliseconds. */
const ASKED_DELAY_MS = 20;

const ANSWER = '"EFFECT_ALLOW"';
/** Milliseconds between the calls that are made beside a simulation. */
const CALL_EVERY_MS = 20;

interface Measured {
  readonly name: string;
  readonly counts: SimulationCounts;
  readonly seconds: number;
  /** Milliseconds of calls one after the other, ascending. */
  readonly alone: readonly number[];
  readonly beside: readonly number[];
}

/** A draft with a condition, a constraint and a rate rule against recorded decisions, and what calls take meanwhile. */
export async function measureSimulation(plan: Plan, say: (line: string) => void): Promise<Section> {
  const measured = [await measure('embedded database', embeddedEnvironment(createTemporaryFolder('simulation')), say)];
  if (plan.withPostgres) {
    const database = await startPostgres();
    measured.push(await measure('PostgreSQL', database.env, say));
    await database.child.stop();
  }
  return report(measured);
}

async function measure(name: string, env: Readonly<Record<string, string>>, say: (line: string) => void) {
  const gateway = await startGateway({ cores: '0', env });
  await callApi(gateway, 'AgentService/CreateAgent', { slug: 'bench' });
  await callApi(gateway, 'PolicyService/CreatePolicy', {
    slug: 'bench',
    content: { targets: [{ toolPattern: 'echo' }], rules: [{ id: 'all', effect: { effect: 'EFFECT_ALLOW' } }] },
  });
  const requestFile = join(createTemporaryFolder('simulation-requests'), 'requests');
  writeAuthorizeRequests(requestFile, gateway, 'bench');
  say(`simulation on ${name}: making ${formatNumber(DECISIONS)} decisions`);
  for (let made = 0; made < DECISIONS; ) {
    made += (await runWrk(gateway.port, requestFile, 64, 3, ANSWER)).answered;
  }
  const request = Buffer.from(readFileSync(requestFile, 'utf8').split('\0')[0] ?? '');
  const alone = await timeCalls(gateway, request, sleep(4_000));
  say(`simulation on ${name}: simulating`);
  const startedAt = performance.now();
  const simulation = simulate(gateway);
  const beside = await timeCalls(gateway, request, simulation);
  const { counts, seconds } = await simulation.then((found) => ({
    counts: found.counts,
    seconds: (found.endedAt - startedAt) / 1000,
  }));
  await gateway.child.stop();
  return { name, counts, seconds, alone, beside };
}

/** One simulation over all decisions; of these the draft changes about one in a hundred. */
async function simulate(gateway: RunningGateway) {
  const client = createClient(
    PolicyService,
    createConnectTransport({ baseUrl: `http://127.0.0.1:${gateway.port}`, httpVersion: '1.1' }),
  );
  const headers = { authorization: `Bearer ${gateway.apiKey}` };
  const stream = client.simulatePolicy({ candidate: { case: 'draft', value: DRAFT } }, { headers });
  let counts: SimulationCounts | undefined;
  for await (const { value } of stream) {
    if (value.case === 'summary') counts = value.value;
  }
  if (counts === undefined) throw new Error('the simulation ended without a summary');
  return { counts, endedAt: performance.now() };
}

const DRAFT = {
  priority: 900,
  targets: [{ toolPattern: '*' }],
  rules: [
    {
      id: 'text',
      kind: {
        case: 'arguments' as const,
        value: { constraints: [{ path: 'text', type: { case: 'string' as const, value: { maxLength: 1000 } } }] },
      },
    },
    {
      id: 'some',
      kind: {
        case: 'condition' as const,
        value: { expression: "call.arguments.text.startsWith('call 77')", effect: Effect.DENY },
      },
    },
    {
      id: 'rate',
      kind: { case: 'rate' as const, value: { maxCalls: 100_000, windowSeconds: 10, per: RateScope.AGENT } },
    },
  ],
};

/** Makes one call after the other until the promise resolves. */
async function timeCalls({ port }: RunningGateway, request: Buffer, until: Promise<unknown>): Promise<number[]> {
  const over = new AbortController();
  const end = () => over.abort();
  // Who made the promise hears of its failure.
  void until.then(end, end);
  const connection = new HttpConnection(port, () => {});
  const times: number[] = [];
  while (!over.signal.aborted) {
    const startedAt = performance.now();
    const answer = await new Promise<string>((resolve) => connection.send(request, resolve));
    if (!answer.includes(ANSWER)) throw new Error(`a call beside the simulation was answered:\n${answer}`);
    times.push(performance.now() - startedAt);
    await sleep(CALL_EVERY_MS);
  }
  connection.close();
  return times.toSorted((a, b) => a - b);
}

function report(measured: readonly Measured[]): Section {
  const rows = measured.map(({ name, counts, seconds, alone, beside }) => [
    name,
    formatNumber(Number(counts.decided)),
    formatNumber(Number(counts.changed)),
    formatNumber(seconds, 1),
    ...[alone, beside].flatMap((times) => [0.5, 0.99, 1].map((share) => formatNumber(percentileOf(times, share), 1))),
  ]);
  return {
    title: 'Simulation',
    text: [
      'SimulatePolicy over Connect in one gateway: a draft with a constraint, a condition and a rate rule against all recorded decisions. Beside it,',
      `one Authorize call every ${CALL_EVERY_MS} ms, in milliseconds from sending it to its answer (median, p99, slowest).`,
      `\n${formatTable(['database', 'decisions', 'changed', 'seconds', 'alone: median', 'p99', 'max', 'beside: median', 'p99', 'max'], rows)}`,
    ].join('\n'),
    checks: measured.flatMap(checksOf),
  };
}

function checksOf({ name, counts, seconds, alone, beside }: Measured): Check[] {
  const perAsked = (seconds * DECISIONS) / Number(counts.decided);
  const delay = percentileOf(beside, 0.99) - percentileOf(alone, 0.99);
  return [
    {
      what: `simulation of ${formatNumber(DECISIONS)} decisions, ${name}, s`,
      asked: `< ${ASKED_SECONDS}`,
      measured: formatNumber(perAsked, 1),
      ok: perAsked < ASKED_SECONDS,
    },
    {
      what: `what a simulation adds to the p99 of a call beside it, ${name}, ms`,
      asked: `< ${ASKED_DELAY_MS}`,
      measured: formatNumber(delay, 1),
      ok: delay < ASKED_DELAY_MS,
    },
  ];
}
