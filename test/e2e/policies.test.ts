import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Decision } from '../../gen/portcullis/v1/decision_pb.ts';
import { DecisionReason } from '../../gen/portcullis/v1/decision_pb.ts';
import { Effect, EvaluationMode, RateScope } from '../../gen/portcullis/v1/policy_rule_pb.ts';
import { Era } from '../../gen/portcullis/v1/upstream_pb.ts';
import type { PortcullisClient } from '../../sdk/src/client.ts';
import type { GatewayProcess } from '../support/gateway-process.ts';
import { streamableHttp } from './support-api.ts';
import { createCleanUp } from './support-clean-up.ts';
import { connectSdk1, connectSdk2 } from './support-clients.ts';
import { callerOf } from './support-mcp-session.ts';
import { deny, operatorOf, policyOf, type RuleKindInit, sdkOf } from './support-policies.ts';
import { addUser } from './support-principals.ts';
import { type RecordingUpstream, startRecordingUpstream } from './support-recording-upstream.ts';

type Json = Record<string, unknown>;

let gateway: GatewayProcess;
let portcullis: PortcullisClient;
let operator: PortcullisClient;
let recorder: RecordingUpstream;
const cleanUp = createCleanUp();

beforeAll(async () => {
  gateway = await cleanUp.startGateway({ env: { GATEWAY_DEMO_UPSTREAM: 'false', GATEWAY_DATABASE_URL: 'memory://' } });
  recorder = await cleanUp.add(startRecordingUpstream(), ({ stop }) => stop());
  portcullis = sdkOf(gateway);
  operator = await operatorOf(gateway);
  await portcullis.upstreams.createUpstream({ slug: 'shop', transport: streamableHttp(recorder.url) });
});

afterAll(cleanUp.run);

/** One call of a case: its tool and arguments, and what of it failed; undefined = it goes through. */
interface Step {
  readonly tool: string;
  readonly args?: Json;
  readonly failures?: readonly Json[];
}

interface RuleCase {
  readonly name: string;
  readonly slug: string;
  readonly target: string;
  readonly rule: RuleKindInit;
  readonly steps: readonly Step[];
}

const hour = (offset: number) => `${String((new Date().getUTCHours() + 24 + offset) % 24).padStart(2, '0')}:00`;
const openNow = { start: hour(-6), end: hour(7) };
const closedNow = { start: hour(7), end: hour(-6) };
const passes = (tool: string, args: Json = {}): Step => ({ tool, args });
const fails = (tool: string, failure: Json, args: Json = {}): Step => ({ tool, args, failures: [failure] });
const pattern = (toolPattern: string) => ({ toolPattern });

const cases: readonly RuleCase[] = [
  {
    name: 'the same for every call',
    slug: 'effects',
    target: 'effect-of-*',
    rule: deny,
    steps: [{ tool: 'effect-of-one', failures: [] }, passes('effect')],
  },
  {
    name: 'lists of tools',
    slug: 'lists',
    target: 'list-*',
    rule: { case: 'tools', value: { allowedTools: ['list-a*'], deniedTools: ['list-ab'] } },
    steps: [
      passes('list-aa'),
      fails('list-ab', { check: 'denied_tools', actual: 'list-ab' }),
      fails('list-b', { check: 'allowed_tools', actual: 'list-b' }),
    ],
  },
  {
    name: 'checks on arguments',
    slug: 'arguments',
    target: 'pay',
    rule: {
      case: 'arguments',
      value: {
        evaluation: EvaluationMode.COLLECT_ALL,
        constraints: [
          { path: 'amount', required: true, type: { case: 'number', value: { maximum: 100, greaterThan: 0 } } },
          { path: 'customer.address.country', type: { case: 'string', value: { in: ['DE', 'FR'] } } },
          { path: 'items[*].sku', type: { case: 'string', value: { regex: '^[A-Z]+-[0-9]+$' } } },
          { path: 'card.token', type: { case: 'string', value: { maxLength: 4 } } },
        ],
      },
    },
    steps: [
      passes('pay', { amount: 100, customer: { address: { country: 'DE' } }, items: [{ sku: 'A-1' }] }),
      fails('pay', { path: 'amount', check: 'required' }),
      fails('pay', { path: 'amount', check: 'type', expected: 'a number', actual: '"50"' }, { amount: '50' }),
      {
        tool: 'pay',
        args: {
          amount: 100.5,
          customer: { address: { country: 'IT' } },
          items: [{ sku: 'A-1' }, { sku: 'a-1' }],
          card: { token: 'tok_1234567890' },
        },
        failures: [
          { path: 'amount', check: 'maximum', expected: '100', actual: '100.5' },
          { path: 'customer.address.country', check: 'in', actual: '"IT"' },
          { path: 'items[1].sku', check: 'regex', expected: '^[A-Z]+-[0-9]+$', actual: '"a-1"' },
          { path: 'card.token', check: 'max_length', actual: '[redacted]' },
        ],
      },
    ],
  },
  {
    name: 'a CEL expression',
    slug: 'conditions',
    target: 'convert',
    rule: {
      case: 'condition',
      value: {
        expression:
          'call.tool == "convert" && principal.kind == "user" && upstream.slug == "shop" && call.arguments.amount > 10.0',
        effect: Effect.DENY,
      },
    },
    steps: [
      passes('convert', { amount: 10 }),
      { tool: 'convert', args: { amount: 11 }, failures: [] },
      fails('convert', { check: 'expression' }, { amount: 'eleven' }),
    ],
  },
  {
    name: 'a window of time that is open',
    slug: 'open',
    target: 'opened',
    rule: { case: 'timeWindow', value: { windows: [openNow] } },
    steps: [passes('opened')],
  },
  {
    name: 'a window of time that is closed',
    slug: 'closed',
    target: 'closed',
    rule: { case: 'timeWindow', value: { windows: [closedNow] } },
    steps: [fails('closed', { check: 'time_window' })],
  },
  {
    name: 'a rate',
    slug: 'rates',
    target: 'rated',
    rule: { case: 'rate', value: { maxCalls: 2, windowSeconds: 3600, per: RateScope.SESSION } },
    steps: [passes('rated'), passes('rated'), fails('rated', { check: 'max_calls', expected: 'at most 2 in 3600 s' })],
  },
  {
    name: 'the calls of a session',
    slug: 'sessions',
    target: 'visit',
    rule: { case: 'session', value: { maxCalls: 1 } },
    steps: [
      passes('visit'),
      fails('visit', { check: 'max_calls', expected: 'at most 1 in a session', actual: '1 before' }),
    ],
  },
  {
    name: 'the sum of an argument in a session',
    slug: 'sums',
    target: 'spend',
    rule: { case: 'session', value: { cumulativeLimits: [{ path: 'amount', maximum: 100 }] } },
    steps: [
      passes('spend', { amount: 60 }),
      fails('spend', { check: 'cumulative_maximum', actual: '60 before and 41 now' }, { amount: 41 }),
      passes('spend', { amount: 40 }),
    ],
  },
  {
    name: 'a counter of a session',
    slug: 'counters',
    target: 'file-*',
    rule: {
      case: 'session',
      value: {
        counters: [{ name: 'open', increment: [pattern('file-open')], decrement: [pattern('file-close')], maximum: 1 }],
      },
    },
    steps: [
      passes('file-open'),
      fails('file-open', { path: 'open', check: 'counter', expected: 'at most 1', actual: '1 before' }),
      passes('file-close'),
      passes('file-open'),
    ],
  },
  {
    name: 'a call only after another',
    slug: 'after',
    target: 'withdraw',
    rule: { case: 'sequence', value: { onlyAfter: [pattern('sign-in')], within: { seconds: 60n } } },
    steps: [
      fails('withdraw', {
        check: 'only_after',
        expected: 'after sign-in in the last 60 s',
        actual: 'not called before',
      }),
      passes('sign-in'),
      passes('withdraw'),
    ],
  },
  {
    name: 'a call never after another',
    slug: 'never',
    target: 'send-mail',
    rule: { case: 'sequence', value: { neverAfter: [pattern('read-secret')] } },
    steps: [
      passes('send-mail'),
      passes('read-secret'),
      fails('send-mail', { check: 'never_after', expected: 'not after read-secret' }),
    ],
  },
];

const eras = [
  { era: Era.LEGACY, name: 'a legacy client', connect: connectSdk1, code: -32001 },
  { era: Era.MODERN, name: 'a modern client', connect: connectSdk2, code: -31001 },
];

describe('every kind of rule decides the calls of', () => {
  beforeAll(async () => {
    for (const { slug, target, rule } of cases) {
      await portcullis.policies.createPolicy({ slug, content: policyOf(target, rule) });
    }
  });

  describe.each(eras)('$name', ({ era, connect, code }) => {
    // The upstream has no sessions: all calls of a principal are one.
    let apiKey: string;

    beforeAll(async () => {
      apiKey = (await addUser(operator, `user-${-code}`)).apiKey;
    });

    test.each(cases)('$name, and the decision says why', async ({ slug, steps }) => {
      const client = await connect(callerOf(gateway, 'shop').url, apiKey);
      for (const { tool, args = {}, failures } of steps) {
        const before = recorder.calls.length;
        const answer = await client.callTool({ name: tool, arguments: args }).then(() => 'passed', refusalOf);
        const refusal = { code, reason: 'rule', rule_ids: [`${slug}/r`] };
        expect(answer).toEqual(failures === undefined ? 'passed' : refusal);
        expect(recorder.calls.slice(before)).toMatchObject(
          failures === undefined ? [{ name: tool, arguments: args }] : [],
        );
        const decision = await lastDecision(tool);
        expect(decision).toMatchObject({ era, tool, ...(failures === undefined ? passed : refusedBy(slug)) });
        const expected = (failures ?? []).map((failure) => ({ ruleId: `${slug}/r`, ...failure }));
        expect(decision.failures).toMatchObject(expected);
        expect(decision.failures).toHaveLength(expected.length);
      }
      await client.close();
    });
  });

  test('[I3-REDACTION] the value of a sensitive argument is nowhere in the record, and the digest covers it', async () => {
    const { decisions } = await portcullis.decisions.listDecisions({ filter: { tool: 'pay', effect: Effect.DENY } });
    const masked = decisions.filter(({ argumentsRedacted }) => argumentsRedacted);
    expect(masked.map(({ argumentsJson }) => JSON.parse(argumentsJson).card)).toEqual([
      { token: '[redacted]' },
      { token: '[redacted]' },
    ]);
    expect(masked[0]?.argumentsDigest).toMatch(/^sha256:[0-9a-f]{64}$/);
    expect(
      JSON.stringify(decisions, (_key, value) => (typeof value === 'bigint' ? String(value) : value)),
    ).not.toContain('tok_12');
  });
});

/** What an official client is told of a refusal. */
function refusalOf(error: unknown) {
  const { code, data } = error as { code: number; data: { reason: string; rule_ids: string[] } };
  return { code, reason: data.reason, rule_ids: data.rule_ids };
}

const passed = { effect: Effect.ALLOW };

function refusedBy(slug: string) {
  const policies = [{ slug, version: 1 }];
  return { effect: Effect.DENY, reason: DecisionReason.RULE, ruleIds: [`${slug}/r`], policies };
}

/** The newest decision about a tool. */
async function lastDecision(tool: string): Promise<Decision> {
  const { decisions } = await portcullis.decisions.listDecisions({ filter: { tool }, pageSize: 1 });
  return decisions[0] as Decision;
}
