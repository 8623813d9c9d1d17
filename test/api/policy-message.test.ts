import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { describe, expect, it } from 'vitest';
import { ApprovalBehavior, EnforcementMode, PolicyContentSchema } from '../../gen/portcullis/v1/policy_pb.ts';
import { Effect, EvaluationMode, RateScope, Weekday } from '../../gen/portcullis/v1/policy_rule_pb.ts';
import { fromPolicyContentMessage, toPolicyContentMessage } from '../../src/api/policy-message.ts';

type Content = MessageInitShape<typeof PolicyContentSchema>;
type Rules = NonNullable<Content['rules']>;

const shown = (content: Content) =>
  // Through JSON, as the store keeps it.
  toPolicyContentMessage(
    JSON.parse(JSON.stringify(fromPolicyContentMessage(create(PolicyContentSchema, content)))) as ReturnType<
      typeof fromPolicyContentMessage
    >,
  );

const everywhere = [{ upstreamPattern: '*', toolPattern: '*' }];
const anyCall = { upstreamPattern: '*', toolPattern: 'transfer_*' };
const { DENY, REQUIRE_APPROVAL, ALLOW } = Effect;

const RULES: Rules = [
  { id: 'effect', message: 'No.', kind: { case: 'effect', value: { effect: ALLOW } } },
  {
    id: 'tools',
    kind: {
      case: 'tools',
      value: { allowedTools: ['read_*'], deniedTools: ['read_secret'], violationEffect: REQUIRE_APPROVAL },
    },
  },
  {
    id: 'arguments',
    kind: {
      case: 'arguments',
      value: {
        evaluation: EvaluationMode.COLLECT_ALL,
        constraints: [
          { path: 'present', effect: DENY, required: true, notNull: true },
          { path: 'none', effect: REQUIRE_APPROVAL, type: { case: 'number', value: {} } },
          { path: 'zero', effect: DENY, type: { case: 'number', value: { minimum: 0, lessThan: -0.5 } } },
          {
            path: 'all',
            effect: DENY,
            type: {
              case: 'number',
              value: {
                minimum: 1,
                maximum: 2,
                greaterThan: 3,
                lessThan: 4,
                greaterThanOrEqual: 5,
                lessThanOrEqual: 1e308,
              },
            },
          },
          { path: 'text', effect: DENY, type: { case: 'string', value: { in: [], notIn: [''], minLength: 0 } } },
          {
            path: 'full',
            effect: DENY,
            type: {
              case: 'string',
              value: { regex: '^a', notRegex: 'b$', in: ['a', 'a'], notIn: [], minLength: 1, maxLength: 0 },
            },
          },
          { path: 'list', effect: DENY, type: { case: 'array', value: { maxItems: 0 } } },
          { path: 'both', effect: DENY, type: { case: 'array', value: { minItems: 1, maxItems: 2 } } },
          { path: 'false', effect: DENY, type: { case: 'boolean', value: { mustBe: false } } },
          { path: 'either', effect: DENY, type: { case: 'boolean', value: {} } },
        ],
      },
    },
  },
  { id: 'condition', kind: { case: 'condition', value: { expression: 'call.tool == "x"', effect: DENY } } },
  {
    id: 'window',
    kind: {
      case: 'timeWindow',
      value: {
        windows: [
          { days: [Weekday.SUNDAY, Weekday.MONDAY], start: '22:30', end: '06:05' },
          { days: [], start: '00:00', end: '24:00' },
        ],
        timeZone: 'Europe/Berlin',
        violationEffect: DENY,
      },
    },
  },
  {
    id: 'rate',
    kind: {
      case: 'rate',
      value: { maxCalls: 5, windowSeconds: 60, per: RateScope.SESSION, violationEffect: REQUIRE_APPROVAL },
    },
  },
  {
    id: 'session',
    kind: {
      case: 'session',
      value: {
        maxCalls: 0,
        cumulativeLimits: [{ path: 'amount', maximum: 0 }],
        counters: [{ name: 'files', increment: [anyCall], decrement: [], maximum: 0 }],
        violationEffect: DENY,
      },
    },
  },
  {
    id: 'sequence',
    kind: {
      case: 'sequence',
      value: {
        onlyAfter: [anyCall],
        within: { seconds: 90n, nanos: 500_000_000 },
        neverAfter: [],
        violationEffect: DENY,
      },
    },
  },
  {
    id: 'sequence-without-time',
    kind: { case: 'sequence', value: { onlyAfter: [], neverAfter: [anyCall], violationEffect: REQUIRE_APPROVAL } },
  },
];

const FULL: Content = {
  displayName: 'Payments',
  priority: 1000,
  mode: EnforcementMode.SHADOW,
  subjects: { agentIds: ['a1'], userIds: ['u1', 'u2'], apiKeyIds: [], teams: ['finance'] },
  targets: [anyCall, { upstreamPattern: 'bank', toolPattern: '*' }],
  rules: RULES,
  approval: {
    behavior: ApprovalBehavior.ELICIT,
    expireAfter: { seconds: 86_400n },
    holdTimeout: { seconds: 1n, nanos: 500_000_000 },
    requiredApprovals: 2,
    approverIds: ['u3'],
    allowSelfApproval: true,
  },
};

describe('what a policy says', () => {
  it('is shown exactly as it was written when it leaves nothing to defaults', () => {
    expect(shown(FULL)).toEqual(create(PolicyContentSchema, FULL));
  });

  it('is shown with its defaults, and written back changes nothing', () => {
    const defaults = shown({ targets: [{ toolPattern: 'x' }] });
    expect(defaults).toEqual(
      create(PolicyContentSchema, {
        mode: EnforcementMode.ENFORCE,
        targets: [{ upstreamPattern: '*', toolPattern: 'x' }],
        approval: {
          behavior: ApprovalBehavior.ERROR,
          expireAfter: { seconds: 3600n },
          holdTimeout: { seconds: 50n },
          requiredApprovals: 1,
        },
      }),
    );
    expect(shown(defaults)).toEqual(defaults);
  });

  it('denies, counts days from midnight to midnight and in UTC where a rule does not say otherwise', () => {
    const rules: Rules = [
      { id: 'a', kind: { case: 'tools', value: { allowedTools: ['x'] } } },
      { id: 'b', kind: { case: 'arguments', value: { constraints: [{ path: 'p' }] } } },
      { id: 'c', kind: { case: 'timeWindow', value: { windows: [{}, { start: '09:00', end: '00:00' }] } } },
      { id: 'd', kind: { case: 'rate', value: { maxCalls: 1, windowSeconds: 1, per: RateScope.AGENT } } },
      { id: 'e', kind: { case: 'session', value: { maxCalls: 1 } } },
      { id: 'f', kind: { case: 'sequence', value: { onlyAfter: [{ toolPattern: 'login' }] } } },
    ];
    expect(shown({ targets: everywhere, rules }).rules.map(({ kind }) => kind.value)).toMatchObject([
      { violationEffect: DENY },
      { evaluation: EvaluationMode.FAIL_FAST, constraints: [{ effect: DENY, type: { case: undefined } }] },
      {
        timeZone: 'UTC',
        windows: [
          { start: '00:00', end: '24:00' },
          { start: '09:00', end: '24:00' },
        ],
        violationEffect: DENY,
      },
      { violationEffect: DENY },
      { violationEffect: DENY },
      { onlyAfter: [{ upstreamPattern: '*', toolPattern: 'login' }], violationEffect: DENY },
    ]);
  });

  it('takes over from unset approval settings what they leave out', () => {
    const { approval } = shown({ targets: everywhere, approval: { requiredApprovals: 3 } });
    expect(approval).toMatchObject({
      behavior: ApprovalBehavior.ERROR,
      expireAfter: { seconds: 3600n },
      requiredApprovals: 3,
    });
  });
});

describe('a rule without an id', () => {
  const deny = { kind: { case: 'effect' as const, value: { effect: DENY } } };
  const rate = (maxCalls: number) => ({
    kind: { case: 'rate' as const, value: { maxCalls, windowSeconds: 60, per: RateScope.AGENT } },
  });
  const idsOf = (rules: Rules) => shown({ targets: everywhere, rules }).rules.map(({ id }) => id);

  it('gets one of what it says, the same at every place and every time', () => {
    const [first, second] = idsOf([deny, rate(5)]);
    expect(first).toMatch(/^effect-[0-9a-f]{8}$/);
    expect(second).toMatch(/^rate-[0-9a-f]{8}$/);
    expect(idsOf([rate(5), { ...deny, message: 'Ask Ann.' }])).toEqual([second, first]);
    expect(idsOf([rate(6)])).not.toEqual([second]);
  });

  it('never gets one that another rule has', () => {
    const [id = ''] = idsOf([deny]);
    expect(idsOf([deny, deny, { ...deny, id }, deny])).toEqual([`${id}-2`, `${id}-3`, id, `${id}-4`]);
  });
});
