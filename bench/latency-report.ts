import type { LatencyCell } from './latency.ts';
import type { Plan } from './plan.ts';
import { type Check, formatTable } from './report.ts';
import { formatNumber, formatSpread, percentileOf, type Spread, spreadOf } from './statistics.ts';
import type { Target } from './targets.ts';

/** Most milliseconds over direct (issue 2). */
const ASKED_P50 = { before_answer: 0.4, before_forward: 0.6 };
const ASKED_P50_POSTGRES = 2;
const ASKED_P99 = 4;

const HEAD = [
  'target',
  'p50',
  'over direct',
  'p99',
  'over direct',
  'p99.9 pooled',
  'max',
  'CPU µs a call',
  'sent late p50 / p99',
  'refused, lost',
];

/** Every era, rate and target; milliseconds. */
export function latencyTable(cells: readonly LatencyCell[], plan: Plan): string {
  const usual = spreadOf(cells.map((cell) => cell.load.foreign)).median;
  const worst = Math.max(...cells.map((cell) => cell.load.foreign));
  const method = [
    'Open loop, milliseconds from the intended send time; target on core 0, generator and upstream on core 1, direct = the generator',
    `against that upstream; median (smallest–largest) of ${plan.rounds} rounds, differences within a round. What the generator itself`,
    `sent late is part of every figure. Other processes kept ${usual.toFixed(2)} cores busy (median; at worst ${worst.toFixed(2)}).`,
  ].join(' ');
  const tables = plan.latencyEras.flatMap((era) =>
    plan.latency.map(({ rate }) => {
      const group = cells.filter((cell) => cell.era === era && cell.rate === rate);
      const rows = [...new Set(group.map((cell) => cell.target))].map((target) => row(group, target));
      return `**${era}, ${formatNumber(rate)} calls a second**\n\n${formatTable(HEAD, rows)}`;
    }),
  );
  return [method, ...tables].join('\n\n');
}

function row(group: readonly LatencyCell[], target: Target): string[] {
  const own = group.filter((cell) => cell.target === target);
  const of = (read: (cell: LatencyCell) => number) => spreadOf(own.map(read));
  const pooled = Float64Array.from(own.flatMap((cell) => cell.loop.samples)).sort();
  const sum = (read: (cell: LatencyCell) => number) => own.reduce((total, cell) => total + read(cell), 0);
  return [
    target.name,
    formatSpread(
      of((cell) => cell.loop.p50),
      2,
    ),
    formatSpread(
      overDirect(group, target, (cell) => cell.loop.p50),
      2,
    ),
    formatSpread(
      of((cell) => cell.loop.p99),
      1,
    ),
    formatSpread(
      overDirect(group, target, (cell) => cell.loop.p99),
      1,
    ),
    formatNumber(percentileOf(pooled, 0.999), 1),
    formatNumber(percentileOf(pooled, 1), 1),
    formatSpread(of(cpuMicrosOf)),
    `${formatNumber(of((cell) => cell.loop.lateP50).median, 2)} / ${formatNumber(of((cell) => cell.loop.lateP99).median, 1)}`,
    `${sum((cell) => cell.loop.refused)}, ${sum((cell) => cell.loop.lost)}`,
  ];
}

/** Includes the calls that warmed the generator up. */
function cpuMicrosOf({ load, loop }: LatencyCell): number {
  return (load.targetSeconds * 1e6) / loop.received;
}

function overDirect(group: readonly LatencyCell[], target: Target, read: (cell: LatencyCell) => number): Spread {
  const direct = group.filter((cell) => cell.target.name === 'direct').map(read);
  const own = group.filter((cell) => cell.target === target).map(read);
  return spreadOf(own.map((value, round) => value - (direct[round] ?? Number.NaN)));
}

/** The asked differences, of every gateway target at every rate. */
export function latencyChecks(cells: readonly LatencyCell[], gateways: readonly Target[], plan: Plan): Check[] {
  return gateways.flatMap((target) =>
    plan.latencyEras.flatMap((era) =>
      plan.latency.flatMap(({ rate }) => {
        const group = cells.filter((cell) => cell.era === era && cell.rate === rate);
        const where = `${target.name}, ${era}, ${formatNumber(rate)}/s`;
        const p50 = target.databasePid === undefined ? ASKED_P50[target.commit ?? 'before_answer'] : ASKED_P50_POSTGRES;
        return [
          check(
            `${where}: p50 over direct, ms`,
            p50,
            overDirect(group, target, (cell) => cell.loop.p50),
          ),
          check(
            `${where}: p99 over direct, ms`,
            ASKED_P99,
            overDirect(group, target, (cell) => cell.loop.p99),
          ),
        ];
      }),
    ),
  );
}

function check(what: string, asked: number, measured: Spread): Check {
  return { what, asked: `≤ +${asked}`, measured: formatSpread(measured, 2), ok: measured.median <= asked };
}
