import { join } from 'node:path';
import { type Cell, measureCell } from './capacity.ts';
import { createTemporaryFolder } from './child-process.ts';
import { createUpstream, embeddedEnvironment, type RunningGateway, startGateway } from './gateway.ts';
import type { Plan } from './plan.ts';
import { residentBytesOf } from './process-usage.ts';
import { createQuietRepeat } from './quiet-repeat.ts';
import { formatTable, type Section } from './report.ts';
import { type Destination, REQUEST_VARIANTS, writeRequestFile } from './requests.ts';
import { type Seeded, seedConfiguration } from './seed.ts';
import { formatNumber, formatSpread, ratiosOf, spreadOf } from './statistics.ts';
import { startUpstream, type Target } from './targets.ts';
import { runWrk } from './wrk.ts';

interface Size {
  readonly upstreams: number;
  readonly keys: number;
}

interface Grown {
  readonly size: Size;
  readonly gateway: RunningGateway;
  readonly target: Target;
  readonly cells: Cell[];
}

const SIZES: readonly Size[] = [
  { upstreams: 10, keys: 10 },
  { upstreams: 10_000, keys: 100_000 },
];
const CONNECTIONS = 16;

/** Start time and cost per call with few and with many upstreams and keys; the calls go round 1,024 of them (modern era). */
export async function measureScale(plan: Plan, say: (line: string) => void): Promise<Section> {
  const upstream = await startUpstream('1');
  const grown: Grown[] = [];
  for (const size of SIZES) {
    say(`scale, ${size.upstreams} upstreams and ${size.keys} keys`);
    grown.push(await startGrown(size, upstream.port));
  }
  for (const { target } of grown) await runWrk(target.port, target.requestFiles.modern, CONNECTIONS, plan.warmSeconds);
  const quiet = createQuietRepeat(plan.repeats);
  for (let round = 0; round < plan.rounds; round++) {
    for (const { target, cells } of grown) {
      cells.push(await quiet.run(() => measureCell(target, upstream.child.pid, 'modern', CONNECTIONS, 2)));
    }
  }
  const section = report(grown, plan);
  for (const { gateway } of grown) await gateway.child.stop();
  await upstream.child.stop();
  return section;
}

async function startGrown(size: Size, upstreamPort: number): Promise<Grown> {
  const dataDir = createTemporaryFolder('scale');
  const options = { cores: '0', env: embeddedEnvironment(dataDir) };
  const first = await startGateway(options);
  const url = `http://127.0.0.1:${upstreamPort}/modern`;
  await createUpstream(first, { slug: 'template', url, era: 'modern', commit: 'before_forward' });
  await first.child.stop('SIGTERM');
  const seeded = seedConfiguration(dataDir, { template: { slug: 'template', apiKey: first.apiKey }, ...size });
  const gateway = await startGateway({ ...options, apiKey: first.apiKey });
  const requestFile = join(dataDir, 'requests');
  writeRequestFile(requestFile, 'modern', destinationsOf(seeded, gateway.port));
  const target: Target = {
    name: `${formatNumber(size.upstreams)} upstreams, ${formatNumber(size.keys)} keys`,
    port: gateway.port,
    pid: gateway.child.pid,
    requestFiles: { modern: requestFile, legacy: requestFile },
  };
  return { size, gateway, target, cells: [] };
}

/** Each request with another upstream and another key, spread over all upstreams. */
function destinationsOf(seeded: Seeded, port: number): Destination[] {
  return Array.from({ length: REQUEST_VARIANTS }, (_, i) => {
    const slug = seeded.slugs[Math.floor((i * seeded.slugs.length) / REQUEST_VARIANTS)];
    const apiKey = seeded.apiKeys[i % seeded.apiKeys.length];
    return { port, path: `/v1/mcp/${slug}`, apiKey: apiKey ?? '' };
  });
}

function report(grown: readonly Grown[], plan: Plan): Section {
  const [small, large] = grown;
  if (small === undefined || large === undefined) throw new Error('scale compares two sizes');
  const ratio = spreadOf(
    ratiosOf(
      large.cells.map((cell) => cell.cpuMicros),
      small.cells.map((cell) => cell.cpuMicros),
    ),
  );
  const rows = grown.map(({ target, gateway, cells }) => [
    target.name,
    formatNumber(gateway.readyMillis),
    formatSpread(spreadOf(cells.map((cell) => cell.callsPerSecond))),
    formatSpread(spreadOf(cells.map((cell) => cell.cpuMicros)), 1),
    formatNumber(residentBytesOf(gateway.child.pid).now / 2 ** 20),
    formatNumber(cells.reduce((sum, cell) => sum + cell.wrk.refused, 0)),
  ]);
  return {
    title: 'Scale',
    foreign: spreadOf(grown.flatMap(({ cells }) => cells.map((cell) => cell.load.foreign))),
    text: [
      `${CONNECTIONS} connections, modern era, before_forward, embedded database; start on one core; ${plan.rounds} rounds in turn.`,
      formatTable(['in the store', 'ready ms', 'calls/s', 'CPU µs a call', 'resident MiB', 'refused'], rows),
    ].join('\n\n'),
    checks: [
      {
        what: `CPU per call with ${large.target.name}, of that with ${small.target.name}`,
        asked: '≤ 1.1',
        measured: formatSpread(ratio, 2),
        ok: ratio.median <= 1.1,
      },
      {
        what: `ready with ${large.target.name}, ms`,
        asked: '< 5,000',
        measured: formatNumber(large.gateway.readyMillis),
        ok: large.gateway.readyMillis < 5_000,
      },
    ],
  };
}
