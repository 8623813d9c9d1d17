import type { StateRead } from '../domain/policy-state.ts';
import { compareText } from './compare-text.ts';
import type { CompiledPolicy, CompiledRule } from './compile-policy.ts';
import type { Evaluate, StateUse } from './compiled-rule.ts';
import { type CallPlace, matchesAny } from './pattern.ts';
import type { PolicyCall } from './policy-call.ts';
import { stateSubjectOf } from './state-subject.ts';

/** A rule that a call is decided by. */
export interface PlannedRule {
  readonly rule: CompiledRule;
  readonly evaluate: Evaluate;
  /** Where its first state stands among the reads. */
  readonly base: number;
}

/** A state that a call reads, and where it is kept but for the subject. */
export interface PlannedUse {
  readonly use: StateUse;
  readonly keyPrefix: string;
}

/** How calls of one place by principals of one kind are decided; made once for all of them. */
export interface Plan {
  /** The rules of ENFORCE policies by falling priority; each group in the order in which its results are told. */
  readonly groups: readonly (readonly PlannedRule[])[];
  /** The rules of each policy in SHADOW mode. */
  readonly shadows: readonly (readonly [PlannedRule, ...PlannedRule[]])[];
  readonly uses: readonly PlannedUse[];
  readonly mayRequireApproval: boolean;
}

/** Plans the calls of a place; `policies` are those whose subjects fit. */
export function createPlan(policies: readonly CompiledPolicy[], place: CallPlace): Plan {
  const uses: PlannedUse[] = [];
  const enforced: PlannedRule[] = [];
  const shadows: [PlannedRule, ...PlannedRule[]][] = [];
  for (const policy of policies.toSorted(byName)) {
    const [first, ...more] = planPolicy(policy, place, uses);
    if (first !== undefined && policy.isShadow) {
      shadows.push([first, ...more]);
    } else if (first !== undefined) {
      enforced.push(first, ...more);
    }
  }
  const groups = groupByPriority(enforced);
  const mayRequireApproval = groups.some((group) =>
    group.some(({ rule }) => rule.code.effects.includes('require_approval')),
  );
  return { groups, shadows, uses, mayRequireApproval };
}

/** Sorts policies, and with them everything that is told of them, however the set was put together. */
function byName(one: CompiledPolicy, other: CompiledPolicy): number {
  return compareText(one.ref.slug, other.ref.slug) || compareText(one.ref.id, other.ref.id);
}

function planPolicy(policy: CompiledPolicy, place: CallPlace, uses: PlannedUse[]): PlannedRule[] {
  const isTarget = matchesAny(policy.targets, place);
  return policy.rules.flatMap((rule) => {
    const bound = rule.code.bind(place, isTarget);
    const base = uses.length;
    uses.push(...(bound?.uses.map((use) => ({ use, keyPrefix: `${rule.stateKey}${use.part}/` })) ?? []));
    return bound?.evaluate === undefined ? [] : { rule, evaluate: bound.evaluate, base };
  });
}

/** By falling priority, up to the group that has a result in any case: what comes after it is never reached. */
function groupByPriority(rules: readonly PlannedRule[]): PlannedRule[][] {
  const groups = Map.groupBy(rules, ({ rule }) => rule.policy.priority);
  const sorted = [...groups].toSorted(([one], [other]) => other - one).map(([, group]) => group);
  const last = sorted.findIndex((group) => group.some(({ rule }) => rule.code.isTotal));
  return last < 0 ? sorted : sorted.slice(0, last + 1);
}

/** The reads of one call, as the plan's uses. */
export function readsOf({ uses }: Plan, call: PolicyCall): StateRead[] {
  return uses.map(({ use: { scope, lag }, keyPrefix }) => {
    const key = keyPrefix + stateSubjectOf(scope, call);
    return lag === undefined ? { key } : { key, lag };
  });
}
