import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { Era } from '../../gen/portcullis/v1/upstream_pb.ts';
import type { GatewayProcess } from '../support/gateway-process.ts';
import { stdio, streamableHttp } from './support-api.ts';
import { createTraffic, everythingAt, type Member, type Traffic } from './support-chatty-traffic.ts';
import { CHATTY_PROGRAM, serveChatty } from './support-chatty-upstream.ts';
import { createCleanUp } from './support-clean-up.ts';
import { callerOf } from './support-mcp-session.ts';
import { operatorOf } from './support-policies.ts';
import { addAgent, type Caller } from './support-principals.ts';

const CLIENTS = 64;
const WARM_UP_MS = 10_000;
const SOAK_MS = 60_000;
/** The load must have been at least this many calls. */
const CALLS = 1_000;
/** What the gateway may keep more after the soak than after the warm-up; compiled code and caches of the runtime go up and down by about this. */
const KEPT_BYTES = 4 * 1024 * 1024;

const SLUGS = ['legacy-http', 'modern-http', 'legacy-stdio', 'modern-stdio'];

let gateway: GatewayProcess;
let members: Member[];
const cleanUp = createCleanUp();

beforeAll(async () => {
  gateway = await cleanUp.startGateway({
    withMemoryProbe: true,
    env: { GATEWAY_STDIO_COMMANDS: process.execPath, GATEWAY_DEMO_UPSTREAM: 'false' },
  });
  const chatty = await cleanUp.add(serveChatty(), ({ stop }) => stop());
  const operator = await operatorOf(gateway);
  const { createUpstream } = operator.upstreams;
  const program = stdioOf();
  await createUpstream({ slug: 'legacy-http', era: Era.LEGACY, transport: streamableHttp(chatty.legacyUrl) });
  await createUpstream({ slug: 'modern-http', era: Era.MODERN, transport: streamableHttp(chatty.modernUrl) });
  await createUpstream({ slug: 'legacy-stdio', era: Era.LEGACY, transport: program });
  await createUpstream({ slug: 'modern-stdio', era: Era.MODERN, transport: program });
  await operator.gateways.createGateway({ slug: 'all', upstreams: SLUGS.map((slug) => ({ slug })) });
  // What a legacy stdio upstream asks names no call, so each client that wants to be asked for its own calls only is a principal of its own.
  const agents: Caller[] = [];
  for (let index = 0; index < CLIENTS / 2; index++) {
    agents.push(await addAgent(operator, `agent-${index}`));
  }
  members = agents.flatMap((agent, index) => [
    memberOf(`asked ${index}`, index, true, agent),
    memberOf(`not asked ${index}`, index >> 2, false, agents[index % 4] ?? agent),
  ]);
});

afterAll(cleanUp.run);

test('[I4-SOAK] 64 clients of both eras on one gateway get what is theirs for a minute, and leave nothing behind', {
  timeout: 240_000,
}, async () => {
  await work(createTraffic(SLUGS), WARM_UP_MS);
  const before = await settled();

  const traffic = createTraffic(SLUGS);
  await work(traffic, SOAK_MS);
  expect(traffic.faults).toEqual([]);
  expect([...traffic.counts.keys()].sort()).toEqual(everythingAt(SLUGS));
  expect(sumOf(traffic.counts)).toBeGreaterThan(CALLS);

  const hasReturned = async () => expect(await gateway.retainedBytes()).toBeLessThan(before + KEPT_BYTES);
  await vi.waitFor(hasReturned, { timeout: 30_000, interval: 1_000 });
});

/** A process for each principal. */
function stdioOf() {
  const { value } = stdio(process.execPath, [CHATTY_PROGRAM]).value;
  return { value: { case: 'stdio' as const, value: { ...value, maxProcesses: CLIENTS } } };
}

/** Every other one is modern. */
function memberOf(name: string, index: number, declares: boolean, { apiKey }: Caller): Member {
  const era = index % 2 === 0 ? 'legacy' : 'modern';
  return { name, url: callerOf(gateway, 'all').url, apiKey, era, declares };
}

/** All clients connect, work and leave. */
async function work(traffic: Traffic, ms: number): Promise<void> {
  const participants = await Promise.all(members.map(traffic.join));
  const until = Date.now() + ms;
  await Promise.all(participants.map((participant) => participant.work(until)));
  await Promise.all(participants.map((participant) => participant.close()));
}

function sumOf(counts: ReadonlyMap<string, number>): number {
  return [...counts.values()].reduce((sum, count) => sum + count, 0);
}

/** What the gateway keeps once that becomes no less. */
async function settled(): Promise<number> {
  let least = Number.POSITIVE_INFINITY;
  const becomesNoLess = async () => {
    const now = await gateway.retainedBytes();
    const isLess = now < least;
    least = Math.min(least, now);
    expect(isLess).toBe(false);
  };
  await vi.waitFor(becomesNoLess, { timeout: 30_000, interval: 1_000 });
  return least;
}
