import { capacityChecks, capacityTable } from './capacity-report.ts';
import { type LoadReading, startLoadMeter } from './load-meter.ts';
import type { Plan } from './plan.ts';
import { createQuietRepeat } from './quiet-repeat.ts';
import type { Section } from './report.ts';
import type { Era } from './requests.ts';
import { spreadOf } from './statistics.ts';
import type { Target, Testbed } from './targets.ts';
import { runWrk, type WrkResult } from './wrk.ts';

/** One measurement of one target: a closed loop over so many connections for a second or two. */
export interface Cell {
  readonly target: Target;
  readonly era: Era;
  readonly connections: number;
  readonly wrk: WrkResult;
  readonly load: LoadReading;
  readonly callsPerSecond: number;
  readonly cpuMicros: number;
  readonly databaseMicros: number;
}

/** Closed loop: how many calls a second each target answers alone on core 0, and what a call costs. */
export async function measureCapacity(testbed: Testbed, plan: Plan, say: (line: string) => void): Promise<Section> {
  const targets = [testbed.direct, testbed.bare, ...testbed.gateways];
  const before = await testbed.counts();
  const cells = await measureRounds(targets, testbed.upstreamPid, plan, say);
  const after = await testbed.counts();
  return {
    title: 'Capacity',
    text: capacityTable(cells, plan),
    foreign: spreadOf(cells.map((cell) => cell.load.foreign)),
    checks: [
      ...capacityChecks(cells, testbed.gateways, plan),
      {
        what: 'initializes that reached the upstream during the load',
        asked: '0',
        measured: `${after.initializes - before.initializes} (${after.calls - before.calls} calls)`,
        ok: after.initializes === before.initializes,
      },
    ],
  };
}

async function measureRounds(
  targets: readonly Target[],
  upstreamPid: number,
  plan: Plan,
  say: (line: string) => void,
): Promise<Cell[]> {
  const quiet = createQuietRepeat(plan.repeats);
  const cells: Cell[] = [];
  for (let round = 1; round <= plan.rounds; round++) {
    say(`capacity, round ${round} of ${plan.rounds}`);
    for (const era of plan.eras) {
      for (const { connections, seconds } of plan.capacity) {
        for (const target of targets) {
          cells.push(await quiet.run(() => measureCell(target, upstreamPid, era, connections, seconds)));
        }
      }
    }
  }
  return cells;
}

/** Loads one target and reads what the calls cost it. */
export async function measureCell(
  target: Target,
  upstreamPid: number,
  era: Era,
  connections: number,
  seconds: number,
): Promise<Cell> {
  const readLoad = startLoadMeter(target, upstreamPid);
  const wrk = await runWrk(target.port, target.requestFiles[era], connections, seconds, target.answer);
  const load = readLoad();
  const calls = wrk.answered + wrk.refused;
  return {
    target,
    era,
    connections,
    wrk,
    load,
    callsPerSecond: wrk.answered / (wrk.durationMicros / 1e6),
    cpuMicros: (load.targetSeconds * 1e6) / calls,
    databaseMicros: (load.databaseSeconds * 1e6) / calls,
  };
}
