import { busySecondsOfCore, cpuSecondsOf, cpuSecondsOfFamily } from './process-usage.ts';
import type { Target } from './targets.ts';

/** What a stretch of time cost. */
export interface LoadReading {
  readonly targetSeconds: number;
  readonly databaseSeconds: number;
  /** Share of core 1 (generator, upstream, database) that was busy, 0 to 1; near 1 the generator may be the limit. */
  readonly generatorCoreBusy: number;
  /** Cores that processes outside the benchmark kept busy meanwhile, 0 to 2; they distort what was measured. */
  readonly foreign: number;
}

interface Reading {
  readonly time: number;
  readonly target: number;
  readonly database: number;
  readonly core0: number;
  readonly core1: number;
  /** All of the benchmark's processes that work during a measurement, ended generators included. */
  readonly own: number;
}

/** Starts to measure; the returned function tells what happened since. */
export function startLoadMeter(target: Target, upstreamPid: number): () => LoadReading {
  const begin = read(target, upstreamPid);
  return () => {
    const end = read(target, upstreamPid);
    const elapsed = (end.time - begin.time) / 1000;
    const busy = end.core0 - begin.core0 + end.core1 - begin.core1;
    return {
      targetSeconds: end.target - begin.target,
      databaseSeconds: end.database - begin.database,
      generatorCoreBusy: (end.core1 - begin.core1) / elapsed,
      foreign: Math.max(0, busy - (end.own - begin.own)) / elapsed,
    };
  };
}

function read(target: Target, upstreamPid: number): Reading {
  const targetSeconds = cpuSecondsOf(target.pid);
  const database = target.databasePid === undefined ? 0 : cpuSecondsOfFamily(target.databasePid);
  const upstream = target.pid === upstreamPid ? 0 : cpuSecondsOf(upstreamPid);
  return {
    time: performance.now(),
    target: targetSeconds,
    database,
    core0: busySecondsOfCore(0),
    core1: busySecondsOfCore(1),
    own: targetSeconds + database + upstream + cpuSecondsOf(process.pid, { withReaped: true }),
  };
}
