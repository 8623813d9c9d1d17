import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { createTemporaryFolder } from './child-process.ts';
import { createUpstream, embeddedEnvironment, type RunningGateway, startGateway } from './gateway.ts';
import { createMcpClient, LEGACY_CALL } from './mcp-client.ts';
import type { MemoryReading } from './memory-probe.ts';
import { openStreams } from './open-streams.ts';
import type { Plan } from './plan.ts';
import { residentBytesOf } from './process-usage.ts';
import { type Check, formatTable, type Section } from './report.ts';
import { formatNumber } from './statistics.ts';
import { createTestbed, readCounts, startUpstream } from './targets.ts';
import { runWrk } from './wrk.ts';

const SESSIONS = 10_000;
const STREAMS = 1_000;
const SLUG = 'bench';
const PATH = `/v1/mcp/${SLUG}`;

interface Growth {
  /** Bytes each that the process keeps after a garbage collection. */
  readonly retained: number;
  /** Bytes each of resident memory. */
  readonly resident: number;
}

/** Memory at rest, under load, for abandoned sessions and for idle streams. */
export async function measureMemory(plan: Plan, say: (line: string) => void): Promise<Section> {
  say('memory at rest and under load');
  const idle = await measureIdle();
  const peak = await measurePeak(plan);
  say(`memory of ${SESSIONS} abandoned sessions and ${STREAMS} streams`);
  const kept = await measureKept();
  const mebibytes = (bytes: number) => formatNumber(bytes / 2 ** 20);
  const rows = kept.growths.map(([what, growth]) => [
    what,
    formatNumber(growth.retained),
    formatNumber(growth.resident),
  ]);
  return {
    title: 'Memory',
    text: [
      `Resident at rest (3 s after the first start with default settings) ${mebibytes(idle)} MiB; highest under full load`,
      `(64 connections, both eras and commit modes, ${plan.loadSeconds} s each) ${mebibytes(peak)} MiB.`,
      `Bytes for each, difference of two readings after a garbage collection:\n`,
      formatTable(['', 'kept in the heap and by it', 'resident'], rows),
    ].join('\n'),
    checks: [
      { what: 'resident at rest, MiB', asked: '< 120', measured: mebibytes(idle), ok: idle < 120 * 2 ** 20 },
      { what: 'resident under full load, MiB', asked: '< 280', measured: mebibytes(peak), ok: peak < 280 * 2 ** 20 },
      ...kept.checks,
    ],
  };
}

async function measureIdle(): Promise<number> {
  const gateway = await startGateway({ cores: '0', env: { GATEWAY_DATA_DIR: createTemporaryFolder('idle') } });
  await sleep(3_000);
  const { now } = residentBytesOf(gateway.child.pid);
  await gateway.child.stop();
  return now;
}

async function measurePeak(plan: Plan): Promise<number> {
  const testbed = await createTestbed({ withGateway: true, withPostgres: false });
  for (const target of testbed.gateways) {
    for (const era of plan.eras) await runWrk(target.port, target.requestFiles[era], 64, plan.loadSeconds);
  }
  const peaks = testbed.gateways.map((target) => residentBytesOf(target.pid).peak);
  await testbed.stop();
  return Math.max(...peaks);
}

async function measureKept(): Promise<{ readonly growths: (readonly [string, Growth])[]; readonly checks: Check[] }> {
  const upstream = await startUpstream('1');
  const gateway = await startGateway({
    cores: '0',
    env: embeddedEnvironment(createTemporaryFolder('kept')),
    withProbe: true,
  });
  const url = `http://127.0.0.1:${upstream.port}/legacy`;
  await createUpstream(gateway, { slug: SLUG, url, era: 'legacy', commit: 'before_forward' });
  const initializes = async () => (await readCounts(upstream.port)).initializes;

  await openSessions(gateway, SESSIONS / 5);
  const before = await initializes();
  const { growth: session, made: sessionId } = await grow(gateway, SESSIONS, () => openSessions(gateway, SESSIONS));
  await callSome(gateway, sessionId);
  const opened = (await initializes()) - before;
  const sessionStream = await growByStreams(gateway, { 'Mcp-Session-Id': sessionId });
  const decisionStream = await growByStreams(gateway, {});
  await gateway.child.stop();
  await upstream.child.stop();
  return {
    growths: [
      [`abandoned legacy session (${formatNumber(SESSIONS)})`, session],
      [`idle stream of a legacy session (${formatNumber(STREAMS)})`, sessionStream],
      [`idle stream of decisions (${formatNumber(STREAMS)})`, decisionStream],
    ],
    checks: [
      limit('abandoned legacy session, bytes kept', 1024, session.retained),
      limit('idle stream of a legacy session, bytes', 40 * 1024, largerOf(sessionStream)),
      limit('idle stream of decisions, bytes', 40 * 1024, largerOf(decisionStream)),
      {
        what: `initializes at the upstream for ${formatNumber(SESSIONS)} sessions and 200 calls in one of them`,
        asked: formatNumber(SESSIONS),
        measured: formatNumber(opened),
        ok: opened === SESSIONS,
      },
    ],
  };
}

/** Resident memory alone says too little when the heap had room left from before. */
function largerOf(growth: Growth): number {
  return Math.max(growth.retained, growth.resident);
}

async function grow<T>(
  gateway: RunningGateway,
  count: number,
  make: () => Promise<T>,
): Promise<{ growth: Growth; made: T }> {
  const before = await readMemory(gateway);
  const made = await make();
  const after = await readMemory(gateway);
  const each = (read: (reading: MemoryReading) => number) => (read(after) - read(before)) / count;
  return {
    growth: { retained: each((reading) => reading.retained), resident: each((reading) => reading.resident) },
    made,
  };
}

async function growByStreams(gateway: RunningGateway, headers: Record<string, string>): Promise<Growth> {
  const options = {
    port: gateway.port,
    path: PATH,
    headers: { ...headers, Authorization: `Bearer ${gateway.apiKey}` },
  };
  const warm = await openStreams({ ...options, count: STREAMS / 5 });
  warm.close();
  await sleep(500);
  const { growth, made } = await grow(gateway, STREAMS, async () => {
    const streams = await openStreams({ ...options, count: STREAMS });
    await sleep(1_000);
    return streams;
  });
  if (made.open() < STREAMS) throw new Error(`only ${made.open()} of ${STREAMS} streams stayed open`);
  made.close();
  await sleep(500);
  return growth;
}

/** Opens legacy sessions that nobody ends; returns the last one's id. */
async function openSessions(gateway: RunningGateway, count: number): Promise<string> {
  const client = createMcpClient(gateway.port, 16);
  let left = count;
  let last = '';
  const openSome = async () => {
    while (left-- > 0) last = await client.openSession({ port: gateway.port, path: PATH, apiKey: gateway.apiKey });
  };
  await Promise.all(Array.from({ length: 16 }, openSome));
  await client.close();
  return last;
}

async function callSome(gateway: RunningGateway, sessionId: string): Promise<void> {
  const client = createMcpClient(gateway.port);
  const to = { port: gateway.port, path: PATH, apiKey: gateway.apiKey, sessionId };
  for (let i = 0; i < 200; i++) await client.callTool(to, LEGACY_CALL);
  await client.close();
}

async function readMemory(gateway: RunningGateway): Promise<MemoryReading> {
  gateway.child.process.send('read');
  const [reading] = (await once(gateway.child.process, 'message')) as [MemoryReading];
  return reading;
}

function limit(what: string, asked: number, measured: number): Check {
  return { what, asked: `< ${formatNumber(asked)}`, measured: formatNumber(measured), ok: measured < asked };
}
