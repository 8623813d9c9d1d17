import { join } from 'node:path';
import { type Cell, measureCell } from './capacity.ts';
import { createTemporaryFolder } from './child-process.ts';
import { callApi, embeddedEnvironment, startGateway } from './gateway.ts';
import { type LatencyCell, measureLatencyCell } from './latency.ts';
import type { Plan } from './plan.ts';
import { createQuietRepeat } from './quiet-repeat.ts';
import { formatTable, type Section } from './report.ts';
import { writeAuthorizeRequests } from './requests.ts';
import { formatNumber, formatSpread, spreadOf } from './statistics.ts';
import type { Target } from './targets.ts';
import { runWrk } from './wrk.ts';

const CONNECTIONS = [16, 64] as const;
const ANSWER = '"EFFECT_ALLOW"';
/** Calls a second of the open loop. */
const RATE = 8_000;

/** How many Authorize calls a second one core answers over Connect with JSON (closed loop), and how soon at 8,000 a second (open loop). */
export async function measureAuthorize(plan: Plan, say: (line: string) => void): Promise<Section> {
  const dataDir = createTemporaryFolder('authorize');
  const gateway = await startGateway({ cores: '0', env: embeddedEnvironment(dataDir) });
  await callApi(gateway, 'AgentService/CreateAgent', { slug: 'bench' });
  const requestFile = join(dataDir, 'requests');
  writeAuthorizeRequests(requestFile, gateway, 'bench');
  const target: Target = {
    name: 'Authorize',
    port: gateway.port,
    pid: gateway.child.pid,
    requestFiles: { modern: requestFile, legacy: requestFile },
    answer: ANSWER,
  };
  await runWrk(target.port, requestFile, 64, plan.warmSeconds, ANSWER);
  const quiet = createQuietRepeat(plan.repeats);
  const cells: Cell[] = [];
  const open: LatencyCell[] = [];
  for (let round = 1; round <= plan.rounds; round++) {
    say(`authorize, round ${round} of ${plan.rounds}`);
    for (const connections of CONNECTIONS) {
      cells.push(await quiet.run(() => measureCell(target, target.pid, 'modern', connections, 2)));
    }
    open.push(await quiet.run(() => measureLatencyCell(target, target.pid, 'modern', RATE, 2)));
  }
  await gateway.child.stop();
  return report(cells, open, plan);
}

function report(cells: readonly Cell[], open: readonly LatencyCell[], plan: Plan): Section {
  const rows = CONNECTIONS.map((connections) => {
    const own = cells.filter((cell) => cell.connections === connections);
    return [
      String(connections),
      formatSpread(spreadOf(own.map((cell) => cell.callsPerSecond))),
      formatSpread(spreadOf(own.map((cell) => cell.cpuMicros)), 1),
      formatSpread(spreadOf(own.map((cell) => cell.wrk.p99 / 1000)), 1),
      formatNumber(own.reduce((sum, cell) => sum + cell.wrk.refused, 0)),
    ];
  });
  const busy = cells.filter((cell) => cell.connections === 64);
  const rate = spreadOf(busy.map((cell) => cell.callsPerSecond));
  const p50 = spreadOf(open.map(({ loop }) => loop.p50));
  const p99 = spreadOf(open.map(({ loop }) => loop.p99));
  const lost = open.reduce((sum, { loop }) => sum + loop.refused + loop.lost, 0);
  return {
    title: 'Authorize',
    foreign: spreadOf(cells.map((cell) => cell.load.foreign)),
    text: [
      `Connect with JSON over HTTP/1.1, embedded database, each decision committed before its answer; ${plan.rounds} rounds.`,
      formatTable(['connections', 'calls/s', 'CPU µs a call', 'p99 ms', 'refused'], rows),
      `At ${formatNumber(RATE)} calls a second, from the intended send time: p50 ${formatSpread(p50, 1)} ms, p99 ${formatSpread(p99, 1)} ms; ${lost} refused or lost.`,
    ].join('\n\n'),
    checks: [
      {
        what: 'Authorize calls a second on one core',
        asked: '≥ 8,000',
        measured: formatSpread(rate),
        ok: rate.median >= 8_000,
      },
      {
        what: `p99 of Authorize at ${formatNumber(RATE)} calls a second, ms`,
        asked: '< 10',
        measured: formatSpread(p99, 1),
        ok: p99.median < 10,
      },
    ],
  };
}
