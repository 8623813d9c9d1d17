import { matchesPattern } from '../domain/name-pattern.ts';
import type { Policy } from '../domain/policy.ts';
import type { StateRead } from '../domain/policy-state.ts';
import { type CompiledPolicy, compilePolicy } from './compile-policy.ts';
import { type CallPlace, matchesAny } from './pattern.ts';
import { createPatternClasses, type PatternClasses } from './pattern-classes.ts';
import { createPlan, type Plan, readsOf } from './plan.ts';
import type { PolicyCall } from './policy-call.ts';
import { createSubjectIndex, isForEverybody } from './subject-index.ts';

/** The policies of a project, prepared for calls. */
export interface PolicySet {
  /** Finds the policies that decide or observe a call; what it costs does not depend on those that do not. */
  match(call: PolicyCall): MatchedPolicies;
}

/** The policies that decide or observe a call. */
export interface MatchedPolicies {
  /** False = no policy can result in REQUIRE_APPROVAL. */
  readonly mayRequireApproval: boolean;
  /** The state that deciding needs; empty = none. */
  readonly reads: readonly StateRead[];
  readonly plan: Plan;
}

/** Plans that are kept; a project with more kinds of calls makes some again. */
const MAX_PLANS = 8192;

/** Rules and states that the kept plans have together; some 50 MB. */
const MAX_PLANNED = 200_000;

const noReads: readonly StateRead[] = [];

/**
 * Prepares policies; each is compiled once, in whatever sets it is. Never throws: a policy that cannot be compiled denies the calls
 * it targets.
 *
 * Calls whose upstream and tool match the same patterns, by principals whom the same policies name, share one plan. There are only as
 * many kinds of calls as the policies tell apart, so a caller who makes up names does not fill the memory.
 */
export function createPolicySet(policies: readonly Policy[]): PolicySet {
  const compiled = policies.flatMap((policy) => compilePolicy(policy) ?? []);
  const patterns = compiled.flatMap((policy) => policy.patterns);
  const upstreams = createPatternClasses(patterns.map(({ upstreamPattern }) => upstreamPattern));
  const tools = createPatternClasses(patterns.map(({ toolPattern }) => toolPattern));
  const subjects = createSubjectIndex(compiled.filter((policy) => !isForEverybody(policy)));
  const findGeneral = createPlaceIndex(compiled.filter(isForEverybody), tools);
  const kindsOfTools = tools.size + 1;
  const kindsOfPlaces = (upstreams.size + 1) * kindsOfTools;
  const plans = createPlanMemo();

  function plan({ principal }: PolicyCall, place: CallPlace): MatchedPolicies {
    const named = subjects.policiesOf(principal).filter((policy) => matchesAny(policy.patterns, place));
    const made = createPlan([...findGeneral(place), ...named], place);
    return { mayRequireApproval: made.mayRequireApproval, reads: noReads, plan: made };
  }

  function findPlan(call: PolicyCall): MatchedPolicies {
    const upstream = call.upstream.slug;
    const tool = call.tool ?? '';
    const place = upstreams.classOf(upstream) * kindsOfTools + tools.classOf(tool);
    const named = subjects.classOf(call.principal);
    const kind = typeof named === 'number' ? named * kindsOfPlaces + place : `${named}/${place}`;
    const known = plans.get(kind);
    if (known !== undefined) {
      return known;
    }
    const made = plan(call, { upstream, tool });
    plans.add(kind, made);
    return made;
  }

  return {
    match(call) {
      const found = findPlan(call);
      return found.plan.uses.length === 0 ? found : { ...found, reads: readsOf(found.plan, call) };
    },
  };
}

/** Finds the policies that a call of a place concerns. */
function createPlaceIndex(
  policies: readonly CompiledPolicy[],
  tools: PatternClasses,
): (place: CallPlace) => Iterable<CompiledPolicy> {
  const patterns = policies.flatMap((policy) => policy.patterns.map((pattern) => ({ policy, ...pattern })));
  const byTool = Map.groupBy(patterns, ({ toolPattern }) => tools.numberOf(toolPattern));
  return ({ upstream, tool }) => {
    const found = tools.matching(tool).flatMap((number) => byTool.get(number) ?? []);
    return new Set(
      found.filter(({ upstreamPattern }) => matchesPattern(upstreamPattern, upstream)).map(({ policy }) => policy),
    );
  };
}

/** Remembers plans, and forgets the oldest ones when they become too many or too large. */
function createPlanMemo() {
  const plans = new Map<number | string, MatchedPolicies>();
  let planned = 0;
  return {
    get: (kind: number | string) => plans.get(kind),
    add(kind: number | string, made: MatchedPolicies): void {
      planned += sizeOf(made);
      for (const [oldest, plan] of plans) {
        if (plans.size < MAX_PLANS && planned <= MAX_PLANNED) break;
        plans.delete(oldest);
        planned -= sizeOf(plan);
      }
      plans.set(kind, made);
    },
  };
}

function sizeOf({ plan: { groups, shadows, uses } }: MatchedPolicies): number {
  return [...groups, ...shadows].reduce((sum, rules) => sum + rules.length, 1 + uses.length);
}
