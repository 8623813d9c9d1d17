import { expect, test } from 'vitest';
import type { Effect } from '../../src/domain/decision.ts';
import type { RuleKind } from '../../src/domain/policy.ts';
import type { ToolFilter } from '../../src/domain/upstream.ts';
import { mayEverAllow } from '../../src/policy/decide.ts';
import { createPolicySet } from '../../src/policy/policy-set.ts';
import { anyCall, contentOf, createPolicy } from './arbitrary-policy.ts';

/** Is the tool listed? The first rule has the highest priority. */
function isListed(defaultEffect: Effect, rules: readonly RuleKind[], toolFilter?: ToolFilter): boolean {
  const policies = rules.map((says, index) =>
    createPolicy(`p${index}`, contentOf({ id: 'r', message: '', says }, 100 - index)),
  );
  const asked = { ...anyCall, upstream: { slug: 'bank', ...(toolFilter !== undefined && { toolFilter }) } };
  return mayEverAllow(createPolicySet(policies).match(asked), asked, defaultEffect);
}

const allow = { kind: 'effect', effect: 'allow' } as const;
const deny = { kind: 'effect', effect: 'deny' } as const;
const approve = { kind: 'effect', effect: 'require_approval' } as const;
const sometimesDenied = {
  kind: 'arguments',
  constraints: [{ path: 'a', effect: 'deny', required: true, notNull: false }],
  evaluation: 'fail_fast',
} as const;
const sometimesAllowed = { kind: 'condition', expression: 'call.arguments.a == 1.0', effect: 'allow' } as const;
const busy = {
  kind: 'rate',
  maxCalls: 1,
  windowSeconds: 1,
  per: 'agent',
  violationEffect: 'require_approval',
} as const;
const onlyGet = { kind: 'tools', allowedTools: ['get'], deniedTools: [], violationEffect: 'deny' } as const;

test.each<[string, Effect, RuleKind[], boolean]>([
  ['the project denies', 'deny', [], false],
  ['the project allows', 'allow', [], true],
  ['the project requires approval', 'require_approval', [], true],
  ['a rule denies', 'allow', [deny], false],
  ['a rule requires approval', 'deny', [approve], true],
  ['a rule denies below one that allows', 'deny', [allow, deny], true],
  ['a rule allows below one that denies', 'deny', [deny, allow], false],
  ['some arguments are denied, the rest is left to a project that denies', 'deny', [sometimesDenied], false],
  ['some arguments are denied, the rest is left to a rule that allows', 'deny', [sometimesDenied, allow], true],
  ['some arguments are allowed, the rest is denied', 'deny', [sometimesAllowed, deny], true],
  ['some arguments are allowed below a rule that denies', 'deny', [deny, sometimesAllowed], false],
  ['too many calls need approval, the others are denied', 'deny', [busy, deny], true],
  ['only other tools are allowed', 'allow', [onlyGet], false],
  ['a rule that cannot be evaluated', 'allow', [{ ...sometimesAllowed, expression: '(' }], false],
])('%s: with the default %s that tool is listed or not', (_name, defaultEffect, rules, listed) => {
  expect(isListed(defaultEffect, rules)).toBe(listed);
});

test('a tool that the filter of the upstream denies is not listed', () => {
  expect(isListed('allow', [allow], { allowedTools: [], deniedTools: ['pay'] })).toBe(false);
});
