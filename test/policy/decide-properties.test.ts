import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { ApprovalRequirement } from '../../src/domain/approval.ts';
import type { Effect } from '../../src/domain/decision.ts';
import type { Policy, PolicyContent } from '../../src/domain/policy.ts';
import type { StateValue } from '../../src/domain/policy-state.ts';
import { decide, mayEverAllow, type Verdict } from '../../src/policy/decide.ts';
import type { PolicyCall } from '../../src/policy/policy-call.ts';
import { createPolicySet } from '../../src/policy/policy-set.ts';
import {
  anyCall,
  approved,
  call,
  contentOf,
  createPolicy,
  denyRule,
  effect,
  policies,
  stateOf,
  time,
} from './arbitrary-policy.ts';

interface Circumstances {
  readonly call: PolicyCall;
  readonly defaultEffect: Effect;
  readonly stateOf: (key: string) => StateValue | undefined;
  readonly now: number;
  readonly approved: ApprovalRequirement[] | undefined;
}

const circumstances: fc.Arbitrary<Circumstances> = fc.record({
  call,
  defaultEffect: effect,
  stateOf,
  now: time,
  approved,
});

function decideBy(
  policies: readonly Policy[],
  { call, defaultEffect, stateOf, now, approved }: Circumstances,
): Verdict {
  const matched = createPolicySet(policies).match(call);
  const states = matched.reads.map(({ key }) => stateOf(key));
  return decide({
    call,
    matched,
    defaultEffect,
    states,
    now,
    redactedKeys: [],
    ...(approved !== undefined && { approved }),
  });
}

const strictness: Readonly<Record<Effect, number>> = { allow: 0, require_approval: 1, deny: 2 };
const runs = { numRuns: 2000 };

test('a new policy with a DENY rule, of whatever priority, never makes a decision less strict', () => {
  fc.assert(
    fc.property(policies, circumstances, denyRule, fc.constantFrom(0, 1, 2, 3), (policies, when, rule, priority) => {
      const before = decideBy(policies, when);
      const after = decideBy([...policies, createPolicy('added', contentOf(rule, priority))], when);

      expect(strictness[after.effect]).toBeGreaterThanOrEqual(strictness[before.effect]);
    }),
    runs,
  );
});

test('a DENY rule that is added to a policy never makes a decision less strict', () => {
  fc.assert(
    fc.property(policies, circumstances, denyRule, fc.nat(), (policies, when, rule, choice) => {
      const before = decideBy(policies, when);
      const more = policies.map((policy, index) =>
        index === choice % policies.length
          ? { ...policy, content: { ...policy.content, rules: [...policy.content.rules, rule] } }
          : policy,
      );
      const after = decideBy(more, when);

      expect(strictness[after.effect]).toBeGreaterThanOrEqual(strictness[before.effect]);
    }),
    runs,
  );
});

test('the order of policies and of rules changes nothing about a decision', () => {
  const shuffled = policies.chain((sorted) =>
    fc.tuple(
      fc.constant(sorted),
      fc
        .shuffledSubarray(sorted, { minLength: sorted.length })
        .chain((mixed) =>
          fc.tuple(
            ...mixed.map((policy) =>
              fc
                .shuffledSubarray([...policy.content.rules], { minLength: policy.content.rules.length })
                .map((rules) => ({ ...policy, content: { ...policy.content, rules } })),
            ),
          ),
        ),
    ),
  );
  fc.assert(
    fc.property(shuffled, circumstances, ([sorted, mixed], when) => {
      expect(decideBy(mixed, when)).toEqual(decideBy(sorted, when));
    }),
    runs,
  );
});

test('policies in SHADOW and OFF mode change nothing but what is recorded of them', () => {
  fc.assert(
    fc.property(policies, circumstances, (policies, when) => {
      const enforced = policies.filter(({ content }) => content.mode === 'enforce');
      const { shadow: _all, writes: _more, ...all } = decideBy(policies, when);
      const { shadow, writes: _writes, ...alone } = decideBy(enforced, when);

      expect(all).toEqual(alone);
      expect(shadow).toEqual([]);
    }),
    runs,
  );
});

test('only an allowed call changes state, and each state at most once', () => {
  fc.assert(
    fc.property(policies, circumstances, (policies, when) => {
      const { effect, writes } = decideBy(policies, when);

      expect(new Set(writes.map(({ key }) => key)).size).toBe(writes.length);
      expect(effect === 'allow' || writes.length === 0).toBe(true);
    }),
    runs,
  );
});

test('a tool that is left out of lists is never allowed, whatever the arguments, the time and the state', () => {
  fc.assert(
    fc.property(policies, circumstances, (policies, when) => {
      const matched = createPolicySet(policies).match(when.call);
      const { effect } = decideBy(policies, when);

      expect(effect === 'deny' || mayEverAllow(matched, when.call, when.defaultEffect)).toBe(true);
    }),
    runs,
  );
});

test('no rule requires approval where the matched policies say that none can', () => {
  fc.assert(
    fc.property(policies, circumstances, (policies, when) => {
      const { mayRequireApproval } = createPolicySet(policies).match(when.call);
      const { reason, approval } = decideBy(policies, when);

      expect(mayRequireApproval || approval === undefined || reason !== 'rule').toBe(true);
    }),
    runs,
  );
});

const effects = ['allow', 'deny', 'require_approval'];

test('whatever the policies, arguments, state and time are, deciding does not throw', () => {
  const anyContent = fc.oneof(
    fc.anything(),
    policies.map(([policy]) => policy?.content),
    fc
      .tuple(policies, fc.constantFrom('priority', 'mode', 'subjects', 'targets', 'rules', 'approval'), fc.anything())
      .map(([[policy], field, junk]) => ({ ...policy?.content, [field]: junk })),
    fc.tuple(policies, fc.constantFrom('id', 'message', 'says'), fc.anything()).map(([[policy], field, junk]) => ({
      ...policy?.content,
      rules: policy?.content.rules.map((rule) => ({ ...rule, [field]: junk })),
    })),
  );
  fc.assert(
    fc.property(
      fc.array(anyContent, { maxLength: 4 }),
      circumstances,
      fc.anything({ withBigInt: true, withNullPrototype: true, withSparseArray: true }),
      fc.array(fc.anything()),
      fc.oneof(fc.double(), fc.anything()),
      fc.anything(),
      (contents, { call, defaultEffect }, args, states, now, approved) => {
        // The casts are the point: none of this has the type it should have.
        const policies = contents.map((content, index) => createPolicy(`p${index}`, content as PolicyContent));
        const matched = createPolicySet(policies).match({ ...call, arguments: args });
        const verdict = decide({
          call: { ...call, arguments: args },
          matched,
          defaultEffect,
          states: states as StateValue[],
          now: now as number,
          redactedKeys: [],
          approved: approved as ApprovalRequirement[],
        });

        expect(effects).toContain(verdict.effect);
      },
    ),
    runs,
  );
});

test('a policy that cannot be read denies every call, however it is broken', () => {
  const broken = fc
    .tuple(
      policies.filter(([policy]) => policy !== undefined && policy.content.mode !== 'off'),
      fc.anything(),
    )
    .chain(([[policy], junk]) =>
      fc
        .constantFrom('priority', 'subjects', 'targets', 'rules')
        .map((field) => ({ ...policy, content: { ...policy?.content, mode: 'enforce', [field]: junk } })),
    );
  fc.assert(
    fc.property(
      broken.filter(({ content }) => !isReadable(content as unknown as Record<string, unknown>)),
      circumstances,
      (policy, when) => {
        const { effect } = decideBy([policy as unknown as Policy], when);

        expect(effect).toBe('deny');
      },
    ),
    runs,
  );
});

/** What junk can be taken for the real thing. */
function isReadable({ priority, subjects, targets, rules }: Record<string, unknown>): boolean {
  return (
    Number.isFinite(priority) &&
    typeof subjects === 'object' &&
    subjects !== null &&
    'agentIds' in subjects &&
    Array.isArray(targets) &&
    targets.every((target) => typeof target === 'object' && target !== null && 'toolPattern' in target) &&
    Array.isArray(rules)
  );
}

test('a rate rule never lets more calls into a window than it says, whenever they come', () => {
  const limit = fc.record({ maxCalls: fc.integer({ min: 1, max: 4 }), windowSeconds: fc.integer({ min: 1, max: 5 }) });
  const waits = fc.array(fc.integer({ min: 0, max: 2500 }), { minLength: 1, maxLength: 40 });
  fc.assert(
    fc.property(limit, waits, call, (limit, waits, call) => {
      const rule = {
        id: 'r',
        message: '',
        says: { kind: 'rate', ...limit, per: 'global', violationEffect: 'deny' },
      } as const;
      const matched = createPolicySet([createPolicy('p', contentOf(rule, 0))]).match(call);
      const allowed: number[] = [];
      let now = 0;
      for (const wait of waits) {
        now += wait;
        const pastTime = allowed.at(-limit.maxCalls);
        const states = [{ value: 0, time: now, ...(pastTime !== undefined && { pastTime }) }];
        const verdict = decide({ call, matched, defaultEffect: 'allow', states, now, redactedKeys: [] });
        const inWindow = allowed.filter((time) => time > now - limit.windowSeconds * 1000).length;

        expect(verdict.effect).toBe(inWindow < limit.maxCalls ? 'allow' : 'deny');
        if (verdict.effect === 'allow') allowed.push(now);
      }
    }),
    { numRuns: 500 },
  );
});

test('however many checks fail, a hundred are told', () => {
  const says = {
    kind: 'arguments',
    constraints: [{ path: 'items[*]', effect: 'deny', required: false, notNull: true }],
    evaluation: 'collect_all',
  } as const;
  const rules = Array.from({ length: 50 }, (_, index) => ({ id: `r${index}`, message: '', says }));
  const policy = createPolicy('p', { ...contentOf({ id: '', message: '', says }, 0), rules });
  const call = { ...anyCall, arguments: { items: Array.from({ length: 50 }, () => null) } };
  const matched = createPolicySet([policy]).match(call);

  const verdict = decide({ call, matched, defaultEffect: 'allow', states: [], now: 0, redactedKeys: [] });

  expect(verdict.effect).toBe('deny');
  expect(verdict.ruleIds.length).toBe(50);
  expect(verdict.failures.length).toBe(100);
});

test('a check that throws denies the call, and the record names the rule', () => {
  const constraint = { path: 'amount', effect: 'require_approval', required: true, notNull: false } as const;
  const says = { kind: 'arguments', constraints: [constraint], evaluation: 'fail_fast' } as const;
  const policy = createPolicy('p', contentOf({ id: 'r', message: 'Own message.', says }, 0));
  const args = {
    get amount() {
      throw new Error('the secret 4711');
    },
  };
  const call = { ...anyCall, arguments: args };
  const matched = createPolicySet([policy]).match(call);

  const verdict = decide({ call, matched, defaultEffect: 'allow', states: [], now: 0, redactedKeys: [] });

  expect(verdict).toEqual({
    effect: 'deny',
    reason: 'rule',
    ruleIds: ['p/r'],
    message: "The rule 'p/r' cannot be evaluated, so the call is denied. An operator must look at it.",
    policies: [{ id: 'id-p', slug: 'p', version: 1 }],
    failures: [{ ruleId: 'p/r', path: '', check: 'internal', expected: 'can be evaluated', actual: 'failed' }],
    shadow: [],
    writes: [],
  });
});

test('a call that cannot be read at all is denied', () => {
  const call = Object.defineProperty({ ...anyCall }, 'upstream', {
    get() {
      throw new Error('no');
    },
  });
  const matched = createPolicySet([]).match(anyCall);

  const verdict = decide({ call, matched, defaultEffect: 'allow', states: [], now: 0, redactedKeys: [] });

  expect(verdict.effect).toBe('deny');
  expect(verdict.message).toBe(
    'The call cannot be decided, so it is denied. An operator must look at the policies of the project.',
  );
});
