import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { timestampMs } from '@bufbuild/protobuf/wkt';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import type { Decision } from '../../gen/portcullis/v1/decision_pb.ts';
import { Effect, RateScope } from '../../gen/portcullis/v1/policy_rule_pb.ts';
import { DecisionCommit, Era } from '../../gen/portcullis/v1/upstream_pb.ts';
import type { PortcullisClient } from '../../sdk/src/client.ts';
import { paginate } from '../../sdk/src/paginate.ts';
import { createApiKey } from '../../src/authn/api-key.ts';
import type { GatewayOptions, GatewayProcess } from '../support/gateway-process.ts';
import { serveEverything } from '../upstream/http-clients.ts';
import { streamableHttp } from './support-api.ts';
import { createCleanUp } from './support-clean-up.ts';
import { callerOf, type McpCaller, openSession, post, toolCall } from './support-mcp-session.ts';
import { policyOf, type RuleKindInit, sdkOf } from './support-policies.ts';
import { type RecordingUpstream, startRecordingUpstream } from './support-recording-upstream.ts';
import { replicaEnv } from './support-replicas.ts';

const CALLS_AT_ONCE = 64;
const cleanUp = createCleanUp();

afterAll(cleanUp.run);

const rate = (maxCalls: number, windowSeconds = 3600, per = RateScope.GLOBAL): RuleKindInit => ({
  case: 'rate',
  value: { maxCalls, windowSeconds, per },
});
const pattern = (toolPattern: string) => ({ toolPattern });

/** True when the call went through, false when a rule refused it; anything else fails. */
async function isLetThrough(caller: McpCaller, tool: string, args: Record<string, unknown> = {}): Promise<boolean> {
  const { messages, text } = await post(caller, toolCall(1, tool, args));
  const answer = messages.at(-1);
  const { code } = (answer?.['error'] ?? {}) as { code?: number };
  if (answer?.['result'] === undefined && code !== -32001) {
    throw new Error(`neither let through nor denied: ${text}`);
  }
  return code === undefined;
}

const countTrue = (answers: readonly boolean[]) => answers.filter((answer) => answer).length;

/** The decisions about a tool, oldest first. */
async function decisionsAbout(portcullis: PortcullisClient, tool: string, effect: Effect): Promise<Decision[]> {
  const decisions: Decision[] = [];
  const request = { filter: { tool, effect }, pageSize: 250 };
  for await (const decision of paginate(portcullis.decisions.listDecisions, request)) {
    decisions.push(decision);
  }
  return decisions.toReversed();
}

describe('two replicas', () => {
  let replicas: readonly [GatewayProcess, GatewayProcess];
  let portcullis: PortcullisClient;
  let recorder: RecordingUpstream;

  beforeAll(async () => {
    const env = await replicaEnv();
    const apiKey = createApiKey();
    const start = () => cleanUp.startGateway({ env, apiKey });
    replicas = await Promise.all([start(), start()]);
    recorder = await cleanUp.add(startRecordingUpstream(), ({ stop }) => stop());
    const everything = await cleanUp.add(serveEverything('streamableHttp'), ({ stop }) => stop());
    portcullis = sdkOf(replicas[0]);
    const { createUpstream } = portcullis.upstreams;
    await createUpstream({ slug: 'shop', transport: streamableHttp(recorder.url) });
    await createUpstream({ slug: 'everything', transport: streamableHttp(everything.url) });
    await portcullis.agents.createAgent({ slug: 'bot' });
    const rules: Record<string, RuleKindInit> = {
      once: rate(1),
      ten: rate(10),
      fifty: rate(50),
      mixed: rate(20),
      rolling: rate(3, 1),
      spend: { case: 'session', value: { cumulativeLimits: [{ path: 'amount', maximum: 100 }] } },
      echo: { case: 'session', value: { maxCalls: 10 } },
      'file-*': {
        case: 'session',
        value: {
          counters: [
            { name: 'open', increment: [pattern('file-open')], decrement: [pattern('file-close')], maximum: 5 },
          ],
        },
      },
      pay: { case: 'sequence', value: { onlyAfter: [pattern('sign-in')], neverAfter: [pattern('sign-out')] } },
    };
    for (const [tool, kind] of Object.entries(rules)) {
      const slug = `limit-${tool.replaceAll(/\W/g, '')}`.replace(/-$/, '');
      await portcullis.policies.createPolicy({ slug, content: policyOf(tool, kind) });
    }
    // Sequences are the last policy.
    const isUnknown = () => isLetThrough(callerOf(replicas[1], 'shop'), 'pay').catch(() => true);
    await vi.waitUntil(async () => !(await isUnknown()), { timeout: 10_000, interval: 20 });
  });

  /** Calls of one kind all at once, in turn at both replicas. */
  function atOnce(count: number, callOne: (replica: GatewayProcess, index: number) => Promise<boolean>) {
    return Promise.all(
      Array.from({ length: count }, (_, index) => callOne(replicas[index % 2] as GatewayProcess, index)),
    );
  }

  const callShop = (tool: string, args = {}) =>
    atOnce(CALLS_AT_ONCE, (replica) => isLetThrough(callerOf(replica, 'shop'), tool, args));

  test.each([
    ['once', 1],
    ['ten', 10],
    ['fifty', 50],
  ] as const)('64 calls at once: the limit of %s admits exactly %i', async (tool, limit) => {
    const before = recorder.calls.length;
    expect(countTrue(await callShop(tool))).toBe(limit);
    expect(recorder.calls.length - before).toBe(limit);
    expect(await decisionsAbout(portcullis, tool, Effect.ALLOW)).toHaveLength(limit);
    expect(await decisionsAbout(portcullis, tool, Effect.DENY)).toHaveLength(CALLS_AT_ONCE - limit);
    expect(countTrue(await callShop(tool))).toBe(0);
  });

  test('[I3-RATE-EXACT] calls over MCP, CallTool and Authorize share one limit', async () => {
    const faces = [
      (replica: GatewayProcess) => isLetThrough(callerOf(replica, 'shop'), 'mixed'),
      (replica: GatewayProcess) =>
        sdkOf(replica)
          .tools.callTool({ upstream: { value: { case: 'slug', value: 'shop' } }, name: 'mixed' })
          .then(
            () => true,
            ({ reason }: { reason: string }) => (reason === 'policy_denied' ? false : Promise.reject(reason)),
          ),
      async (replica: GatewayProcess) => {
        const request = { agent: { value: { case: 'slug' as const, value: 'bot' } }, tool: 'mixed' };
        return (await sdkOf(replica).tools.authorize(request)).outcome === Effect.ALLOW;
      },
    ];
    const answers = await atOnce(60, (replica, index) => faces[index % 3]?.(replica) ?? Promise.reject());
    expect(countTrue(answers)).toBe(20);
  });

  test('[I3-RATE-EXACT] a window rolls: however calls come, no second lets more through than the limit', async () => {
    const end = performance.now() + 2_500;
    const callUntilEnd = async (index: number) => {
      const caller = callerOf(replicas[index % 2] as GatewayProcess, 'shop');
      while (performance.now() < end) {
        await isLetThrough(caller, 'rolling');
      }
    };
    await Promise.all(Array.from({ length: 8 }, (_, index) => callUntilEnd(index)));
    const decisions = await decisionsAbout(portcullis, 'rolling', Effect.ALLOW);
    const times = decisions
      .flatMap(({ createTime }) => (createTime === undefined ? [] : timestampMs(createTime)))
      .sort((a, b) => a - b);
    expect(times.length).toBeGreaterThanOrEqual(6);
    const spans = times.slice(3).map((time, index) => time - (times[index] ?? 0));
    expect(spans.filter((span) => span < 1_000)).toEqual([]);
  });

  test('[I3-SESSION-LIMITS] a session is limited to its calls wherever they come in, and the next session has its own', async () => {
    for (const opened of replicas) {
      const session = await openSession(callerOf(opened, 'everything'));
      const answers = await atOnce(CALLS_AT_ONCE, (replica) => {
        const caller = { ...session, url: callerOf(replica, 'everything').url };
        return isLetThrough(caller, 'echo', { message: 'x' });
      });
      expect(countTrue(answers)).toBe(10);
    }
  });

  test('[I3-SESSION-LIMITS] sums stay below their maximum', async () => {
    expect(countTrue(await callShop('spend', { amount: 7 }))).toBe(14);
    expect(await isLetThrough(callerOf(replicas[1], 'shop'), 'spend', { amount: 2.5 })).toBe(false);
    expect(await isLetThrough(callerOf(replicas[0], 'shop'), 'spend', { amount: 2 })).toBe(true);
    expect(await isLetThrough(callerOf(replicas[1], 'shop'), 'spend', { amount: 0.001 })).toBe(false);
    expect(await isLetThrough(callerOf(replicas[1], 'shop'), 'spend', { amount: -50 })).toBe(true);
    expect(await isLetThrough(callerOf(replicas[0], 'shop'), 'spend', { amount: 1 })).toBe(false);
  });

  test('[I3-SESSION-LIMITS] counters go up and down', async () => {
    expect(countTrue(await callShop('file-open'))).toBe(5);
    const close = (replica: GatewayProcess) => isLetThrough(callerOf(replica, 'shop'), 'file-close');
    expect(countTrue(await atOnce(3, close))).toBe(3);
    expect(countTrue(await callShop('file-open'))).toBe(3);
    // More than are open: the counter stays at 0, and then lets as many through as before.
    expect(countTrue(await atOnce(12, close))).toBe(12);
    expect(countTrue(await callShop('file-open'))).toBe(5);
  });

  test('[I3-SEQUENCES] what was called at one replica counts at the other', async () => {
    const at = (index: 0 | 1, tool: string) => isLetThrough(callerOf(replicas[index], 'shop'), tool);
    expect(await at(0, 'pay')).toBe(false);
    expect(await at(1, 'sign-in')).toBe(true);
    expect(await at(0, 'pay')).toBe(true);
    expect(await at(0, 'sign-out')).toBe(true);
    expect(await at(1, 'pay')).toBe(false);
  });
});

interface DatabaseKind {
  readonly name: string;
  readonly start: () => Promise<GatewayOptions>;
}

const sqlite: DatabaseKind = {
  name: 'SQLite',
  start: async () => {
    const dataDir = await cleanUp.add(mkdtemp(join(tmpdir(), 'portcullis-state-')), (made) =>
      rm(made, { recursive: true }),
    );
    return { dataDir, env: { GATEWAY_DEMO_UPSTREAM: 'false' } };
  },
};
const postgres: DatabaseKind = { name: 'PostgreSQL', start: async () => ({ env: await replicaEnv() }) };

const LIMIT = 60;

describe.concurrent.each([sqlite, postgres])('a gateway on $name that is killed', ({ start }) => {
  test('[I3-STATE-RESTART] remembers windows, sessions and sequences, and never lets more through than is allowed', {
    timeout: 60_000,
  }, async () => {
    const options = { ...(await start()), apiKey: createApiKey() };
    const recorder = await cleanUp.add(startRecordingUpstream(), ({ stop }) => stop());
    let gateway = await cleanUp.startGateway(options);
    const portcullis = sdkOf(gateway);
    for (const [slug, decisionCommit] of [
      ['strict', DecisionCommit.BEFORE_FORWARD],
      ['late', DecisionCommit.BEFORE_ANSWER],
    ] as const) {
      const transport = streamableHttp(recorder.url);
      await portcullis.upstreams.createUpstream({ slug, transport, era: Era.LEGACY, decisionCommit });
    }
    const rules: Record<string, RuleKindInit> = {
      rated: rate(LIMIT),
      visit: { case: 'session', value: { maxCalls: 2, cumulativeLimits: [{ path: 'amount', maximum: 10 }] } },
      open: { case: 'session', value: { counters: [{ name: 'n', increment: [pattern('open')], maximum: 1 }] } },
      pay: { case: 'sequence', value: { onlyAfter: [pattern('sign-in')] } },
      mail: { case: 'sequence', value: { neverAfter: [pattern('read-secret')] } },
    };
    for (const [tool, kind] of Object.entries(rules)) {
      await portcullis.policies.createPolicy({ slug: tool, content: policyOf(tool, kind) });
    }
    const at = (tool: string, args = {}) => isLetThrough(callerOf(gateway, 'strict'), tool, args);
    for (const tool of ['visit', 'open', 'sign-in', 'mail', 'read-secret']) {
      expect([tool, await at(tool, { amount: 6 })]).toEqual([tool, true]);
    }

    const forwarded = () => recorder.calls.filter(({ name }) => name === 'rated').length;
    for (const target of [15, 35]) {
      const callers = callUntilCutOff(gateway);
      await vi.waitUntil(() => forwarded() >= target, { timeout: 20_000, interval: 1 });
      await gateway.kill();
      await callers;
      gateway = await cleanUp.startGateway(options);
    }
    const between = forwarded();
    expect(between).toBeLessThan(LIMIT);
    const answers = await Promise.all(
      Array.from({ length: CALLS_AT_ONCE }, () => isLetThrough(callerOf(gateway, 'late'), 'rated')),
    );
    expect(await decisionsAbout(sdkOf(gateway), 'rated', Effect.ALLOW)).toHaveLength(LIMIT);
    expect(forwarded()).toBe(between + countTrue(answers));
    expect(forwarded()).toBeLessThanOrEqual(LIMIT);

    const afterwards: Record<string, boolean> = {};
    for (const tool of ['rated', 'open', 'pay', 'mail']) {
      afterwards[tool] = await at(tool);
    }
    expect(afterwards).toEqual({ rated: false, open: false, pay: true, mail: false });
    const visits = [await at('visit', { amount: 5 }), await at('visit', { amount: 4 }), await at('visit')];
    expect(visits).toEqual([false, true, false]);
  });
});

/** Callers at both upstreams that go on until the gateway is gone; resolves then. */
async function callUntilCutOff(gateway: GatewayProcess): Promise<void> {
  const callOnAndOn = async (slug: string): Promise<void> => {
    for (;;) {
      const answer = await post(callerOf(gateway, slug), toolCall(1, 'rated')).catch(() => undefined);
      if (answer === undefined) {
        return;
      }
    }
  };
  await Promise.all(['strict', 'late', 'strict', 'late', 'strict', 'late'].map(callOnAndOn));
}
