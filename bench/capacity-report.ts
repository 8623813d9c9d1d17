import type { Cell } from './capacity.ts';
import type { Plan } from './plan.ts';
import { type Check, formatTable } from './report.ts';
import type { Era } from './requests.ts';
import { formatNumber, formatSpread, ratiosOf, spreadOf } from './statistics.ts';
import type { Target } from './targets.ts';

/** Least share of the bare proxy's calls a second, and most of its CPU per call (issue 2). */
const ASKED_SHARE = 0.5;
const ASKED_COST = 2;

const HEAD = [
  'target',
  'calls/s',
  'of bare proxy',
  'p50 / p99 ms',
  'CPU µs a call',
  '× bare proxy',
  'database µs a call',
  'core 1 busy',
  'refused',
];

/** Both eras, every number of connections, every target. */
export function capacityTable(cells: readonly Cell[], plan: Plan): string {
  const worst = Math.max(...cells.map((cell) => cell.load.foreign));
  const usual = spreadOf(cells.map((cell) => cell.load.foreign)).median;
  const method = [
    'Closed loop, target alone on core 0, wrk and upstream (and PostgreSQL) on core 1; median (smallest–largest) of',
    `${plan.rounds} rounds; ratios are taken within a round. Other processes kept ${usual.toFixed(2)} cores busy`,
    `(median; at worst ${worst.toFixed(2)}).`,
  ].join(' ');
  const tables = plan.eras.flatMap((era) =>
    plan.capacity.map(({ connections }) => {
      const group = cells.filter((cell) => cell.era === era && cell.connections === connections);
      const title = `**${era}, ${connections} ${connections === 1 ? 'connection' : 'connections'}**`;
      return `${title}\n\n${formatTable(
        HEAD,
        [...new Set(group.map((cell) => cell.target))].map((target) => row(group, target)),
      )}`;
    }),
  );
  return [method, ...tables].join('\n\n');
}

function row(group: readonly Cell[], target: Target): string[] {
  const own = group.filter((cell) => cell.target === target);
  const bare = group.filter((cell) => cell.target.name === 'bare proxy');
  const of = (read: (cell: Cell) => number) => spreadOf(own.map(read));
  const against = (read: (cell: Cell) => number) => spreadOf(ratiosOf(own.map(read), bare.map(read)));
  const refused = own.reduce((sum, cell) => sum + cell.wrk.refused + cell.wrk.socketErrors, 0);
  return [
    target.name,
    formatSpread(of((cell) => cell.callsPerSecond)),
    formatSpread(
      against((cell) => cell.callsPerSecond),
      2,
    ),
    `${formatNumber(of((cell) => cell.wrk.p50).median / 1000, 2)} / ${formatNumber(of((cell) => cell.wrk.p99).median / 1000, 2)}`,
    formatSpread(
      of((cell) => cell.cpuMicros),
      1,
    ),
    formatSpread(
      against((cell) => cell.cpuMicros),
      2,
    ),
    target.databasePid === undefined
      ? ''
      : formatSpread(
          of((cell) => cell.databaseMicros),
          1,
        ),
    `${formatNumber(of((cell) => cell.load.generatorCoreBusy).median * 100)}%`,
    refused === 0
      ? '0'
      : `${refused}: ${own.find((cell) => cell.wrk.sample)?.wrk.sample.replaceAll(/[|\s]+/g, ' ') ?? 'socket errors'}`,
  ];
}

/** The asked share and cost, of every gateway target at 16 and 64 connections. */
export function capacityChecks(cells: readonly Cell[], gateways: readonly Target[], plan: Plan): Check[] {
  const loads = plan.capacity.filter(({ connections }) => connections > 1);
  return gateways.flatMap((target) =>
    plan.eras.flatMap((era) => loads.flatMap(({ connections }) => checksOf(cells, target, era, connections))),
  );
}

function checksOf(cells: readonly Cell[], target: Target, era: Era, connections: number): Check[] {
  const group = cells.filter((cell) => cell.era === era && cell.connections === connections);
  const own = group.filter((cell) => cell.target === target);
  const bare = group.filter((cell) => cell.target.name === 'bare proxy');
  const against = (read: (cell: Cell) => number) => spreadOf(ratiosOf(own.map(read), bare.map(read)));
  const share = against((cell) => cell.callsPerSecond);
  const cost = against((cell) => cell.cpuMicros);
  const where = `${target.name}, ${era}, ${connections} connections`;
  return [
    {
      what: `${where}: calls/s of the bare proxy's`,
      asked: `≥ ${ASKED_SHARE}`,
      measured: formatSpread(share, 2),
      ok: share.median >= ASKED_SHARE,
    },
    {
      what: `${where}: CPU of the bare proxy's`,
      asked: `≤ ${ASKED_COST}`,
      measured: formatSpread(cost, 2),
      ok: cost.median <= ASKED_COST,
    },
  ];
}
