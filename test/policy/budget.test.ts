import { describe, expect, test } from 'vitest';
import type { PrincipalId, ProjectId } from '../../src/domain/ids.ts';
import type { ArgumentConstraint, Policy, RuleKind } from '../../src/domain/policy.ts';
import { decide } from '../../src/policy/decide.ts';
import { createPolicySet } from '../../src/policy/policy-set.ts';
import { policy } from './sample-policy.ts';

const tooLong = 'the rules take too long to evaluate for these arguments';
const texts = { kind: 'string', in: [], notIn: [] } as const;
const explosive = String.raw`(password|secret).{0,100}(user|login).{0,100}\d{4}`;

function decideCall(policies: readonly Policy[], args: unknown, tool = 'pay') {
  const call = {
    principal: { kind: 'agent', id: 'a' as PrincipalId, name: 'a', projectId: 'p' as ProjectId, teams: [] },
    upstream: { slug: 'bank' },
    method: 'tools/call',
    tool,
    arguments: args,
    session: 's',
  } as const;
  const matched = createPolicySet(policies).match(call);
  return decide({ call, matched, defaultEffect: 'allow', states: [], now: 0, redactedKeys: [] });
}

function checks(
  constraints: readonly Partial<ArgumentConstraint>[],
  evaluation: 'fail_fast' | 'collect_all' = 'fail_fast',
): RuleKind {
  const defaults = { path: 'a[*]', effect: 'deny', required: false, notNull: false } as const;
  return { kind: 'arguments', evaluation, constraints: constraints.map((fields) => ({ ...defaults, ...fields })) };
}

const deny = (expression: string): RuleKind => ({ kind: 'condition', expression, effect: 'deny' });
const atMost = (maximum: number) => ({ type: { kind: 'number', maximum } as const });

describe('the rules of a call share what its decision may cost, and what is too much denies it soon', () => {
  const million = many(500_000, () => 1);
  const objects = many(20_000, (at) => ({ p: at % 90 }));
  const words = (from: number) =>
    many(600, (at) => ['password', 'user', 'login', 'secret'][(at * 17 + from) % 4]).join('');
  const sum = (path: string): RuleKind => ({
    kind: 'session',
    maxCalls: 0,
    counters: [],
    violationEffect: 'deny',
    cumulativeLimits: [{ path, maximum: 1e9 }],
  });
  const cases: Readonly<Record<string, readonly [readonly RuleKind[], unknown]>> = {
    'regular expressions over many texts': [
      many(50, (at) => checks([{ type: { ...texts, notRegex: `${explosive}${at}` } }])),
      many(170, words),
    ],
    'numbers over many items': [[checks(many(100, (at) => atMost(at + 1)))], million],
    'conditions over many items': [
      many(500, (at) => deny(`call.arguments.a.exists(x, x.p > ${at + 100}.0)`)),
      objects.slice(0, 5000),
    ],
    'conditions that fail for every item': [
      many(500, (at) => deny(`call.arguments.a.all(x, x.q == ${at}) || true`)),
      objects.slice(0, 5000),
    ],
    'one regular expression of many conditions': [
      many(100, (at) => deny(`call.arguments.a[0].matches('[a-z]+${at}[0-9]')`)),
      ['lorem ipsum '.repeat(20_000)],
    ],
    'lengths of a long text': [
      many(300, (at) => checks([{ type: { ...texts, minLength: 300_000 + at } }])),
      ['😀'.repeat(400_000)],
    ],
    'sums over many items': [many(100, (at) => sum(`a[*]${'["x"]'.repeat(at % 3)}`)), million],
    'the exact comparison of numbers': [
      many(20, () => checks(many(100, () => ({ type: { kind: 'number', minimum: 100, maximum: 100 } })))),
      many(60, () => JSON.rawJSON(`100.${'0'.repeat(1000)}`)),
    ],
  };
  test.each(Object.entries(cases))('%s', (_name, [rules, a]) => {
    const policies = [policy('p', rules)];
    decideCall(policies, {});
    const start = performance.now();

    const verdict = decideCall(policies, { a });

    expect(performance.now() - start).toBeLessThan(1000);
    expect(verdict).toMatchObject({ effect: 'deny', reason: 'rule', writes: [] });
    expect(verdict.failures.filter(({ check }) => check === 'cost')).toMatchObject([{ path: '', actual: tooLong }]);
    expect(decideCall(policies, { a })).toEqual(verdict);
  });

  test('failures that are many are told in part, and soon', () => {
    const fails = many(100, (at) => ({ path: 'a[*].p', type: { kind: 'number', minimum: at + 100 } as const }));
    const policies = [
      policy(
        'p',
        many(500, () => checks(fails, 'collect_all')),
      ),
    ];
    const start = performance.now();

    expect(decideCall(policies, { a: objects }).failures).toHaveLength(100);

    expect(performance.now() - start).toBeLessThan(1000);
  });
});

test('the order of policies and rules makes no difference to what is too much', () => {
  const rules = many(100, (at) => checks([atMost(at + 1)]));
  const policies = many(5, (at) => policy(`p${at}`, [...rules, { kind: 'effect', effect: 'allow' }]));
  const backwards = policies
    .toReversed()
    .map((one) => ({ ...one, content: { ...one.content, rules: one.content.rules.toReversed() } }));
  const args = { a: many(10_000, () => 1) };

  const verdict = decideCall(policies, args);

  expect(verdict.failures).toMatchObject([{ check: 'cost' }]);
  expect(decideCall(backwards, args)).toEqual(verdict);
});

test('a rule that spends what is left is told, as one that cannot be evaluated', () => {
  const policies = [
    policy('p', [...many(2, () => checks(many(3, atMost).slice(1))), { kind: 'effect', effect: 'allow' }]),
  ];

  expect(decideCall(policies, { a: many(300_000, () => 1) })).toMatchObject({
    effect: 'deny',
    ruleIds: ['p/r1'],
    message: `The rule 'p/r1' cannot be evaluated, so the call is denied. An operator must look at it.`,
    failures: [{ ruleId: 'p/r1', path: '', check: 'cost', expected: 'can be evaluated', actual: tooLong }],
  });
});

test('a policy in SHADOW mode that costs too much denies nothing, and does not keep state from being counted', () => {
  const sum = { kind: 'session', maxCalls: 9, counters: [], violationEffect: 'deny', cumulativeLimits: [] } as const;
  const costly = many(20, () => checks(many(20, atMost).slice(1)));
  const policies = [policy('a', costly, { mode: 'shadow' }), policy('b', [sum, { kind: 'effect', effect: 'allow' }])];

  const verdict = decideCall(policies, { a: many(100_000, () => 1) });

  expect(verdict).toMatchObject({ effect: 'allow', ruleIds: ['b/r1'], writes: [{ value: 1 }] });
  expect(verdict.shadow).toMatchObject([{ effect: 'deny', ruleIds: ['a/r0'], failures: [{ check: 'cost' }] }]);
});

test('a call is denied that is allowed but costs too much to remember', () => {
  const sums = many(20, (at) => ({ path: `a[*]["${at}"]`, maximum: 1 }));
  const remember: RuleKind = {
    kind: 'session',
    maxCalls: 0,
    counters: [],
    violationEffect: 'deny',
    cumulativeLimits: sums,
  };
  const policies = [
    policy('allow', [{ kind: 'effect', effect: 'allow' }], { priority: 9 }),
    policy('sums', [remember], { priority: 1 }),
  ];

  expect(decideCall(policies, { a: many(1000, () => ({})) })).toMatchObject({ effect: 'allow', ruleIds: ['allow/r0'] });
  expect(decideCall(policies, { a: many(100_000, () => ({})) })).toMatchObject({
    effect: 'deny',
    ruleIds: [],
    message: 'The call is too large for the policies of the project, so it is denied.',
    failures: [{ ruleId: '', path: '', check: 'cost', expected: 'can be evaluated', actual: 'takes too long' }],
    writes: [],
  });
});

describe('what is ordinary is decided', () => {
  test.each([
    ['half a million numbers', [checks([atMost(1)])], many(500_000, () => 1)],
    [
      'a text of a million characters',
      [checks([{ type: { ...texts, notRegex: 'BEGIN (RSA )?PRIVATE KEY' } }])],
      ['lorem ipsum '.repeat(80_000)],
    ],
    [
      'ten thousand short texts',
      many(5, (at) => checks([{ type: { ...texts, regex: `^[A-Z0-9-]{1,${at + 20}}$` } }])),
      many(10_000, (at) => `SKU-${at}`),
    ],
    ['five hundred conditions', many(500, (at) => deny(`size(call.arguments.a) > ${at + 5}`)), [1, 2, 3]],
    [
      'a thousand items of a condition',
      many(20, (at) => deny(`call.arguments.a.exists(x, x.p > ${at + 100}.0)`)),
      many(1000, () => ({ p: 1 })),
    ],
  ] as const)('%s', (_name, rules, a) => {
    expect(decideCall([policy('p', rules)], { a })).toMatchObject({ effect: 'allow', failures: [] });
  });
});

test('a text that is cut holds no half of a character', () => {
  const constraint = { path: 'a', type: { ...texts, in: ['x'] } };
  const verdict = decideCall([policy('p', [checks([constraint])])], { a: `${'x'.repeat(197)}😀😀` });

  expect(verdict.failures[0]?.actual.isWellFormed()).toBe(true);
  const tools: RuleKind = { kind: 'tools', allowedTools: [], deniedTools: ['*'], violationEffect: 'deny' };
  expect(decideCall([policy('q', [tools])], {}, `${'x'.repeat(198)}😀😀`).failures[0]?.actual).toBe(
    `${'x'.repeat(198)}\ufffd…`,
  );
});

function many<T>(count: number, make: (index: number) => T): T[] {
  return Array.from({ length: count }, (_, index) => make(index));
}
