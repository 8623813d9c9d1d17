import fc from 'fast-check';
import { expect, test } from 'vitest';
import { matchesPattern } from '../../src/domain/name-pattern.ts';
import type { Policy } from '../../src/domain/policy.ts';
import { decide } from '../../src/policy/decide.ts';
import { createPatternClasses } from '../../src/policy/pattern-classes.ts';
import type { PolicyCall } from '../../src/policy/policy-call.ts';
import { createPolicySet, type PolicySet } from '../../src/policy/policy-set.ts';
import { getZoneClock } from '../../src/policy/zone-clock.ts';
import { anyCall, call, contentOf, createPolicy, effect, policies, time } from './arbitrary-policy.ts';

const letters = fc.string({ unit: fc.constantFrom('a', 'b', 'é', '😀'), maxLength: 5 });
const anyPattern = fc.tuple(letters, fc.constantFrom('', '*')).map(([name, end]) => name + end);

test('the patterns that match a name are found as if each had been tried', () => {
  fc.assert(
    fc.property(fc.uniqueArray(anyPattern, { maxLength: 20 }), letters, (patterns, name) => {
      const classes = createPatternClasses(patterns);
      const tried = patterns.filter((pattern) => matchesPattern(pattern, name)).map(classes.numberOf);

      expect(new Set(classes.matching(name))).toEqual(new Set(tried));
    }),
    { numRuns: 3000 },
  );
});

test('names of one class match the same patterns', () => {
  fc.assert(
    fc.property(fc.array(anyPattern, { maxLength: 20 }), letters, letters, (patterns, one, other) => {
      const classes = createPatternClasses(patterns);
      const matching = (name: string) => patterns.filter((pattern) => matchesPattern(pattern, name));

      expect(classes.classOf(one) !== classes.classOf(other) || matching(one).join() === matching(other).join()).toBe(
        true,
      );
    }),
    { numRuns: 3000 },
  );
});

test('a set finds the rules of the policies whose subjects and targets fit, and no others, however often it was asked before', () => {
  fc.assert(
    fc.property(policies, fc.array(call, { minLength: 1, maxLength: 8 }), (policies, calls) => {
      const set = createPolicySet(policies);
      for (const call of calls) {
        const found = matchedRules(set, call);
        const expected = expectedPolicies(policies, call);

        expect(found.policies.filter((slug) => !expected.includes(slug))).toEqual([]);
        expect(found).toEqual(matchedRules(createPolicySet(policies.toReversed()), call));
      }
    }),
    { numRuns: 1000 },
  );
});

function matchedRules(set: PolicySet, call: PolicyCall) {
  const { plan, reads, mayRequireApproval } = set.match(call);
  const rules = [...plan.groups, ...plan.shadows].flat().map(({ rule }) => rule);
  return {
    policies: rules.map(({ policy }) => policy.ref.slug),
    rules: rules.map(({ name }) => name),
    reads,
    mayRequireApproval,
  };
}

function expectedPolicies(policies: readonly Policy[], call: PolicyCall): string[] {
  return policies
    .filter(({ content }) => content.mode !== 'off' && isSubject(content, call) && isTarget(content, call))
    .map(({ slug }) => slug);
}

function isSubject({ subjects }: Policy['content'], { principal }: PolicyCall): boolean {
  const { agentIds, userIds, apiKeyIds, teams } = subjects;
  return (
    agentIds.length + userIds.length + apiKeyIds.length + teams.length === 0 ||
    (principal.kind === 'agent' ? agentIds : userIds).includes(principal.id) ||
    (principal.apiKeyId !== undefined && apiKeyIds.includes(principal.apiKeyId)) ||
    principal.teams.some((team) => teams.includes(team))
  );
}

function isTarget({ targets }: Policy['content'], { upstream, tool }: PolicyCall): boolean {
  return targets.some(
    ({ upstreamPattern, toolPattern }) =>
      matchesPattern(upstreamPattern, upstream.slug) && matchesPattern(toolPattern, tool ?? ''),
  );
}

const effectRules = fc
  .array(effect, { maxLength: 3 })
  .map((effects) =>
    effects.map((effect, index) => ({ id: `r${index}`, message: '', says: { kind: 'effect' as const, effect } })),
  );
const effectPolicies = policies.chain((all) =>
  fc.tuple(...all.map((policy) => effectRules.map((rules) => ({ ...policy, content: { ...policy.content, rules } })))),
);

test('a set decides as if every policy had been read in turn', () => {
  fc.assert(
    fc.property(effectPolicies, fc.array(call, { minLength: 1, maxLength: 8 }), (policies, calls) => {
      const set = createPolicySet(policies);
      for (const call of calls) {
        const matched = set.match(call);
        const verdict = decide({ call, matched, defaultEffect: 'allow', states: [], now: 0, redactedKeys: [] });

        expect({ effect: verdict.effect, ruleIds: verdict.ruleIds }).toEqual(decideInTurn(policies, call));
      }
    }),
    { numRuns: 2000 },
  );
});

function decideInTurn(policies: readonly Policy[], call: PolicyCall) {
  const expected = expectedPolicies(policies, call);
  const results = policies
    .filter(({ slug, content }) => expected.includes(slug) && content.mode === 'enforce')
    .flatMap(({ slug, content: { rules, priority } }) =>
      rules.map(({ id, says }) => ({
        name: `${slug}/${id}`,
        priority,
        effect: says.kind === 'effect' ? says.effect : '',
      })),
    );
  const highest = Math.max(...results.map(({ priority }) => priority));
  const top = results.filter(({ priority }) => priority === highest);
  for (const effect of ['deny', 'require_approval', 'allow']) {
    const ruleIds = top.filter((result) => result.effect === effect).map(({ name }) => name);
    if (ruleIds.length > 0) return { effect, ruleIds };
  }
  return { effect: 'allow', ruleIds: [] };
}

test('a project that tells more kinds of calls apart than plans are kept decides each of them rightly, again and again', () => {
  const names = Array.from({ length: 100 }, (_, index) => `n${index}`);
  const set = createPolicySet(
    names.map((name) =>
      createPolicy(name, {
        ...contentOf({ id: 'r', message: '', says: { kind: 'effect', effect: 'deny' } }, 0),
        targets: names.map((tool) => ({ upstreamPattern: name, toolPattern: tool })),
      }),
    ),
  );
  const decided = [...names, ...names].flatMap((upstream) =>
    names.map((tool) => {
      const call = callOf(upstream, tool);
      const input = { call, matched: set.match(call), states: [], now: 0, redactedKeys: [] };
      return decide({ ...input, defaultEffect: 'allow' }).ruleIds.join() === `${upstream}/r`;
    }),
  );

  expect(decided).toEqual(Array.from({ length: 20_000 }, () => true));
});

function callOf(slug: string, tool: string): PolicyCall {
  return { ...anyCall, upstream: { slug }, tool };
}

test.each(['UTC', 'Europe/Berlin', 'America/St_Johns', 'Australia/Lord_Howe', 'Asia/Kathmandu', 'Pacific/Chatham'])(
  'the local time of %s is what Intl says',
  (timeZone) => {
    const clock = getZoneClock(timeZone);
    const format = new Intl.DateTimeFormat('sv-SE', { timeZone, dateStyle: 'short', timeStyle: 'medium' });
    fc.assert(
      fc.property(time, (time) => {
        expect(new Date(time + clock(time)).toISOString().slice(0, 19)).toBe(format.format(time).replace(' ', 'T'));
      }),
      { numRuns: 500 },
    );
  },
);
