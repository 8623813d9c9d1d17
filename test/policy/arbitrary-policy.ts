import fc from 'fast-check';
import type { ApprovalRequirement } from '../../src/domain/approval.ts';
import type { Effect } from '../../src/domain/decision.ts';
import type { ApiKeyId, PolicyId, PrincipalId, ProjectId } from '../../src/domain/ids.ts';
import {
  type CallPattern,
  defaultApprovalSettings,
  type Policy,
  type PolicyContent,
  type PolicyRule,
  type RuleKind,
} from '../../src/domain/policy.ts';
import type { StateValue } from '../../src/domain/policy-state.ts';
import type { PolicyCall } from '../../src/policy/policy-call.ts';

// Few names, so that patterns and calls meet.
const pattern = fc.constantFrom('*', 'a', 'a*', 'ab', 'ab*', 'abc', 'b*', '');
const name = fc.constantFrom('', 'a', 'ab', 'abc', 'abcd', 'b', 'c');
const text = fc.constantFrom('', 'x', 'DE', 'secret');

/** Any effect. */
export const effect: fc.Arbitrary<Effect> = fc.constantFrom('allow', 'deny', 'require_approval');
const refusal = fc.constantFrom('deny' as const, 'require_approval' as const);

const callPattern: fc.Arbitrary<CallPattern> = fc.record({ upstreamPattern: pattern, toolPattern: pattern });
const patterns = fc.array(callPattern, { maxLength: 3 });
const path = fc.constantFrom('amount', 'items[*].amount', 'customer.country', 'items');

const constraint: fc.Arbitrary<Extract<RuleKind, { kind: 'arguments' }>['constraints'][number]> = fc
  .record({
    path,
    effect: refusal,
    required: fc.boolean(),
    notNull: fc.boolean(),
    type: fc.oneof(
      fc.constant(undefined),
      fc.record({ kind: fc.constant('number' as const), maximum: fc.integer({ min: 0, max: 10 }) }),
      fc.record({ kind: fc.constant('string' as const), in: fc.array(text, { maxLength: 2 }), notIn: fc.constant([]) }),
      fc.record({ kind: fc.constant('array' as const), maxItems: fc.nat(2) }),
      fc.record({ kind: fc.constant('boolean' as const), mustBe: fc.boolean() }),
    ),
  })
  .map(({ type, ...rest }) => (type === undefined ? rest : { ...rest, type }));

const expression = fc.constantFrom(
  'true',
  'false',
  "call.tool.startsWith('a')",
  'call.arguments.amount > 5.0',
  "principal.kind == 'agent'",
  'request.time.getHours() < 12',
  'this does not compile',
);

/** What a rule says, of any kind; the refusing kinds refuse as asked. */
function says(
  refuses: fc.Arbitrary<'deny' | 'require_approval'>,
  results: fc.Arbitrary<Effect>,
): fc.Arbitrary<RuleKind> {
  const window = fc.record({
    days: fc.subarray([1, 2, 3, 4, 5, 6, 7] as const),
    startMinute: fc.nat(1439),
    endMinute: fc.integer({ min: 1, max: 1440 }),
  });
  return fc.oneof(
    fc.record({ kind: fc.constant('effect' as const), effect: results }),
    fc.record({ kind: fc.constant('condition' as const), expression, effect: results }),
    fc.record({
      kind: fc.constant('arguments' as const),
      constraints: fc.array(
        fc.tuple(constraint, refuses).map(([one, by]) => ({ ...one, effect: by })),
        { maxLength: 3 },
      ),
      evaluation: fc.constantFrom('fail_fast' as const, 'collect_all' as const),
    }),
    fc.record({
      kind: fc.constant('time_window' as const),
      windows: fc.array(window, { maxLength: 2 }),
      timeZone: fc.constantFrom('UTC', 'Europe/Berlin', 'Australia/Lord_Howe', 'nowhere'),
      violationEffect: refuses,
    }),
    fc.record({
      kind: fc.constant('rate' as const),
      maxCalls: fc.integer({ min: 1, max: 3 }),
      windowSeconds: fc.integer({ min: 1, max: 100 }),
      per: fc.constantFrom('agent' as const, 'user' as const, 'session' as const, 'global' as const),
      violationEffect: refuses,
    }),
    fc.record({
      kind: fc.constant('session' as const),
      maxCalls: fc.nat(3),
      cumulativeLimits: fc.array(fc.record({ path, maximum: fc.nat(20) }), { maxLength: 2 }),
      counters: fc.array(
        fc.record({
          name: fc.constantFrom('one', 'two'),
          increment: patterns,
          decrement: patterns,
          maximum: fc.nat(2),
        }),
        { maxLength: 2 },
      ),
      violationEffect: refuses,
    }),
    fc.record({
      kind: fc.constant('sequence' as const),
      onlyAfter: patterns,
      neverAfter: patterns,
      withinMs: fc.integer({ min: 1000, max: 100_000 }),
      violationEffect: refuses,
    }),
  );
}

/** A rule of any kind that has no other result than DENY. */
export const denyRule: fc.Arbitrary<PolicyRule> = fc.record({
  id: fc.constant('added'),
  message: text,
  says: says(fc.constant('deny'), fc.constant('deny')),
});

const toolLists = fc.record({
  kind: fc.constant('tools' as const),
  allowedTools: fc.array(pattern, { maxLength: 2 }),
  deniedTools: fc.array(pattern, { maxLength: 2 }),
  violationEffect: refusal,
});

const rule: fc.Arbitrary<Omit<PolicyRule, 'id'>> = fc.record({
  message: text,
  says: fc.oneof({ arbitrary: says(refusal, effect), weight: 5 }, { arbitrary: toolLists, weight: 1 }),
});

const subjects = fc.oneof(
  fc.constant({ agentIds: [], userIds: [], apiKeyIds: [], teams: [] }),
  fc.record({
    agentIds: fc.subarray(['one', 'two']),
    userIds: fc.subarray(['one', 'two']),
    apiKeyIds: fc.subarray(['key']),
    teams: fc.subarray(['red', 'blue']),
  }),
);

const content: fc.Arbitrary<PolicyContent> = fc.record({
  displayName: fc.constant(''),
  priority: fc.constantFrom(0, 1, 2),
  mode: fc.constantFrom('enforce', 'enforce', 'enforce', 'shadow', 'off'),
  subjects,
  targets: fc.array(callPattern, { minLength: 1, maxLength: 3 }),
  rules: fc.array(rule, { maxLength: 4 }).map((rules) => rules.map((one, index) => ({ ...one, id: `r${index}` }))),
  approval: fc.record({
    behavior: fc.constantFrom('error' as const, 'hold' as const, 'elicit' as const),
    expireAfterMs: fc.integer({ min: 60_000, max: 100_000 }),
    holdTimeoutMs: fc.integer({ min: 1000, max: 9000 }),
    requiredApprovals: fc.constantFrom(1, 2),
    approverIds: fc.constant([]),
    allowSelfApproval: fc.boolean(),
  }),
});

/** A policy of that slug. */
export function createPolicy(slug: string, content: PolicyContent): Policy {
  return {
    id: `id-${slug}` as PolicyId,
    projectId: 'project' as ProjectId,
    slug,
    content,
    version: 1,
    latestVersion: 1,
    revision: 1,
    createTime: 0,
    updateTime: 0,
  };
}

/** Policies with different slugs. */
export const policies: fc.Arbitrary<Policy[]> = fc
  .array(content, { maxLength: 5 })
  .map((contents) => contents.map((one, index) => createPolicy(`p${index}`, one)));

/** Content that holds no rule but the given one. */
export function contentOf(rule: PolicyRule, priority: number): PolicyContent {
  return {
    displayName: '',
    priority,
    mode: 'enforce',
    subjects: { agentIds: [], userIds: [], apiKeyIds: [], teams: [] },
    targets: [{ upstreamPattern: '*', toolPattern: '*' }],
    rules: [rule],
    approval: defaultApprovalSettings,
  };
}

const number = fc.oneof(fc.integer({ min: -3, max: 12 }), fc.constantFrom(Number.NaN, Number.POSITIVE_INFINITY, 0.1));
const value = fc.oneof(number, text, fc.constant(null), fc.boolean());
const args = fc.oneof(
  fc.record(
    {
      amount: value,
      items: fc.oneof(fc.array(fc.record({ amount: value }, { requiredKeys: [] }), { maxLength: 3 }), value),
      customer: fc.oneof(fc.record({ country: value }), value),
    },
    { requiredKeys: [] },
  ),
  fc.constantFrom(undefined, null, 5, []),
);

/** A call that policies of {@link policies} may be about. */
export const call: fc.Arbitrary<PolicyCall> = fc.record({
  principal: fc
    .record({
      kind: fc.constantFrom('user' as const, 'agent' as const),
      id: fc.constantFrom('one', 'two', 'three').map((id) => id as PrincipalId),
      apiKeyId: fc.constantFrom(undefined, 'key' as ApiKeyId),
      teams: fc.subarray(['red', 'blue', 'green']),
    })
    .map(({ apiKeyId, ...rest }) => ({
      ...rest,
      name: 'name',
      projectId: 'project' as ProjectId,
      ...(apiKeyId === undefined ? {} : { apiKeyId }),
    })),
  upstream: fc.record({ slug: name }),
  method: fc.constantFrom('tools/call', 'prompts/get'),
  tool: fc.option(name, { nil: undefined }),
  arguments: args,
  session: fc.constantFrom(undefined, 's'),
});

/** A time in a year with changes of summer time. */
export const time = fc.integer({ min: Date.UTC(2026, 0, 1), max: Date.UTC(2027, 0, 1) });

/** The state that is kept under a key: the same for the same key, whatever else is there. */
export const stateOf: fc.Arbitrary<(key: string) => StateValue | undefined> = fc.func(
  fc.option(fc.record({ value: fc.nat(25), time, pastTime: time }), { nil: undefined }),
);

/** The requirements of an approval that may have been given. */
export const approved: fc.Arbitrary<ApprovalRequirement[] | undefined> = fc.option(
  fc.subarray(['p0', 'p1', 'p2', 'p3']).map((slugs) =>
    slugs.map((policySlug) => ({
      policyId: `id-${policySlug}` as PolicyId,
      policySlug,
      policyVersion: 1,
      requiredApprovals: 1,
      approverIds: [],
      allowSelfApproval: false,
    })),
  ),
  { nil: undefined },
);

/** A call of the tool 'pay', by an agent. */
export const anyCall: PolicyCall = {
  principal: { kind: 'agent', id: 'one' as PrincipalId, name: 'one', projectId: 'project' as ProjectId, teams: [] },
  upstream: { slug: 'bank' },
  method: 'tools/call',
  tool: 'pay',
  arguments: {},
  session: undefined,
};
