import { join } from 'node:path';
import { runChild } from './child-process.ts';
import { latencyChecks, latencyTable } from './latency-report.ts';
import { type LoadReading, startLoadMeter } from './load-meter.ts';
import type { OpenLoopOptions, OpenLoopResult } from './open-loop.ts';
import type { Plan } from './plan.ts';
import { createQuietRepeat } from './quiet-repeat.ts';
import type { Section } from './report.ts';
import type { Era } from './requests.ts';
import { spreadOf } from './statistics.ts';
import type { Target, Testbed } from './targets.ts';

/** One measurement of one target at one rate. */
export interface LatencyCell {
  readonly target: Target;
  readonly era: Era;
  readonly rate: number;
  readonly loop: OpenLoopResult;
  readonly load: LoadReading;
}

const generator = join(import.meta.dirname, 'open-loop.ts');

/** Open loop: what a call through each target takes from its intended send time, beside the upstream called directly. */
export async function measureLatency(testbed: Testbed, plan: Plan, say: (line: string) => void): Promise<Section> {
  const targets = [testbed.directOnUpstreamCore, testbed.bare, ...testbed.gateways];
  const quiet = createQuietRepeat(plan.repeats);
  const cells: LatencyCell[] = [];
  for (let round = 1; round <= plan.rounds; round++) {
    say(`latency, round ${round} of ${plan.rounds}`);
    for (const era of plan.latencyEras) {
      for (const { rate, seconds } of plan.latency) {
        for (const target of targets) {
          cells.push(await quiet.run(() => measureLatencyCell(target, testbed.upstreamPid, era, rate, seconds)));
        }
      }
    }
  }
  return {
    title: 'Latency',
    text: latencyTable(cells, plan),
    checks: latencyChecks(cells, testbed.gateways, plan),
    foreign: spreadOf(cells.map((cell) => cell.load.foreign)),
  };
}

/** Sends to one target at a rate and reads how long the answers took. */
export async function measureLatencyCell(
  target: Target,
  upstreamPid: number,
  era: Era,
  rate: number,
  seconds: number,
): Promise<LatencyCell> {
  const { port, requestFiles, answer } = target;
  const options: OpenLoopOptions = { port, requestFile: requestFiles[era], rate, seconds, answer };
  const readLoad = startLoadMeter(target, upstreamPid);
  const output = await runChild({ command: [process.execPath, generator, JSON.stringify(options)] });
  return { target, era, rate, loop: JSON.parse(output) as OpenLoopResult, load: readLoad() };
}
