import type { ApprovalRequirement } from '../domain/approval.ts';
import type { ConstraintFailure, DecisionReason, Effect, PolicyVersionRef, ShadowResult } from '../domain/decision.ts';
import type { ApprovalBehavior } from '../domain/policy.ts';
import type { StateWrite } from '../domain/policy-state.ts';
import { passesToolFilter } from '../domain/tool-filter.ts';
import { defaultDemand, demandOf, isMetBy } from './approval-demand.ts';
import { type Budget, createBudget } from './budget.ts';
import type { Evaluation } from './compiled-rule.ts';
import { textOf } from './failure-text.ts';
import type { Plan, PlannedRule } from './plan.ts';
import type { PolicyCall } from './policy-call.ts';
import type { MatchedPolicies } from './policy-set.ts';
import {
  evaluateRules,
  failuresOf,
  messageOf,
  type RuleResult,
  refsOf,
  ruleIdsOf,
  sentenceAbout,
  textOfRules,
} from './rule-result.ts';

/** Everything that a decision depends on. */
export interface DecideInput extends Evaluation {
  readonly matched: MatchedPolicies;
  /** What the project does about a call that no policy has a result for. */
  readonly defaultEffect: Effect;
  /** The requirements of an approval that was given for this call. */
  readonly approved?: readonly ApprovalRequirement[];
}

/** What an approval must be like, and how the caller waits for it. */
export interface ApprovalDemand {
  /** One for each policy that demands approval, sorted by slug; or one for the project's default. */
  readonly requirements: readonly ApprovalRequirement[];
  readonly behavior: ApprovalBehavior;
  readonly expireAfterMs: number;
  readonly holdTimeoutMs: number;
}

/** The answer of {@link decide}: the effect, and everything that led to it. */
export interface Verdict {
  readonly effect: Effect;
  readonly reason: DecisionReason;
  /** The rules that decided, as `policy slug/rule id`. */
  readonly ruleIds: readonly string[];
  /** Written for the caller. */
  readonly message: string;
  /** The policies of these rules. */
  readonly policies: readonly PolicyVersionRef[];
  readonly failures: readonly ConstraintFailure[];
  readonly shadow: readonly ShadowResult[];
  /** The state after the call; empty unless it is allowed. */
  readonly writes: readonly StateWrite[];
  /** With REQUIRE_APPROVAL, and with the reason `approval`. */
  readonly approval?: ApprovalDemand;
}

/**
 * Decides one call: the upstream's tool filter, then the policies by falling priority, then the project's default. Pure; never throws:
 * a call that cannot be decided is denied, and so is one whose decision costs too much.
 */
export function decide(input: DecideInput): Verdict {
  const budget = createBudget();
  try {
    return isFilteredOut(input.call) ? filteredOut(input.call) : decideByPolicies(input, budget);
  } catch {
    return budget.left < 0 ? tooExpensive : undecidable;
  }
}

/** For lists: false only if no arguments, time or state could have the call allowed, or allowed once it is approved. */
export function mayEverAllow({ plan }: MatchedPolicies, call: PolicyCall, defaultEffect: Effect): boolean {
  if (isFilteredOut(call)) {
    return false;
  }
  const evaluation: Evaluation = { call, states: [], now: 0, redactedKeys: [] };
  for (const group of plan.groups) {
    const fixed = evaluateRules(group.filter(isStatic), evaluation);
    if (fixed !== undefined) {
      return fixed.effect !== 'deny';
    }
    if (group.some(({ rule }) => rule.code.effects.some((effect) => effect !== 'deny'))) {
      return true;
    }
  }
  return defaultEffect !== 'deny';
}

function isStatic({ rule }: PlannedRule): boolean {
  return rule.code.isStatic;
}

function isFilteredOut({ upstream, method, tool }: PolicyCall): boolean {
  return (
    method === 'tools/call' && upstream.toolFilter !== undefined && !passesToolFilter(upstream.toolFilter, tool ?? '')
  );
}

/** What a verdict has that no rule led to. */
const unruled = { ruleIds: [], policies: [], failures: [], shadow: [], writes: [] } as const;

const undecidable: Verdict = {
  ...unruled,
  effect: 'deny',
  reason: 'rule',
  message: 'The call cannot be decided, so it is denied. An operator must look at the policies of the project.',
  failures: [{ ruleId: '', path: '', check: 'internal', expected: 'can be evaluated', actual: 'failed' }],
};

/** Only what rules remember of a call, once it is allowed, leads to this: what rules say of it is told with the rule. */
const tooExpensive: Verdict = {
  ...unruled,
  effect: 'deny',
  reason: 'rule',
  message: 'The call is too large for the policies of the project, so it is denied.',
  failures: [{ ruleId: '', path: '', check: 'cost', expected: 'can be evaluated', actual: 'takes too long' }],
};

function filteredOut({ upstream, tool }: PolicyCall): Verdict {
  const message = `The tool filter of the upstream '${upstream.slug}' denies '${textOf(tool ?? '')}'.`;
  return { ...unruled, effect: 'deny', reason: 'tool_filter', message };
}

function decideByPolicies(input: DecideInput, budget: Budget): Verdict {
  const { plan } = input.matched;
  const result = firstResult(plan, input, budget);
  const basis = result === undefined ? byDefault(input) : byRules(result, input);
  if (plan.shadows.length === 0 && (plan.uses.length === 0 || basis.effect !== 'allow')) {
    return basis;
  }
  const writes = basis.effect === 'allow' ? writesOf(input, budget) : [];
  return { ...basis, shadow: shadowResults(plan, input, budget), writes };
}

function firstResult({ groups }: Plan, input: DecideInput, budget: Budget): RuleResult | undefined {
  for (const group of groups) {
    const result = evaluateRules(group, input, budget);
    if (result !== undefined) {
      return result;
    }
  }
  return undefined;
}

function byDefault({ defaultEffect, approved }: DecideInput): Verdict {
  if (defaultEffect === 'require_approval' && isMetBy(defaultDemand, approved)) {
    const message = 'Allowed by an approval, which the default of the project demands.';
    return { ...unruled, effect: 'allow', reason: 'approval', message, approval: defaultDemand };
  }
  return projectDefaults[defaultEffect];
}

const projectDefaults: Readonly<Record<Effect, Verdict>> = {
  allow: {
    ...unruled,
    effect: 'allow',
    reason: 'project_default',
    message: sentenceAbout('allow', 'the default of the project'),
  },
  deny: {
    ...unruled,
    effect: 'deny',
    reason: 'project_default',
    message: sentenceAbout('deny', 'the default of the project, as no rule matched'),
  },
  require_approval: {
    ...unruled,
    effect: 'require_approval',
    reason: 'project_default',
    message: sentenceAbout('require_approval', 'the default of the project'),
    approval: defaultDemand,
  },
};

function byRules(result: RuleResult, { approved }: DecideInput): Verdict {
  const basis: Verdict = {
    effect: result.effect,
    reason: 'rule',
    ruleIds: ruleIdsOf(result),
    message: messageOf(result),
    policies: refsOf(result),
    failures: failuresOf(result),
    shadow: unruled.shadow,
    writes: unruled.writes,
  };
  if (result.effect !== 'require_approval') {
    return basis;
  }
  const approval = demandOf(result);
  if (!isMetBy(approval, approved)) {
    return { ...basis, approval };
  }
  const message = `Allowed by an approval, which ${textOfRules(result)} demands.`;
  return { ...basis, effect: 'allow', reason: 'approval', message, approval };
}

function shadowResults({ shadows }: Plan, input: DecideInput, budget: Budget): readonly ShadowResult[] {
  return shadows.flatMap((rules) => {
    const result = evaluateRules(rules, input, budget);
    return result === undefined
      ? []
      : {
          policy: rules[0].rule.policy.ref,
          effect: result.effect,
          ruleIds: ruleIdsOf(result),
          message: messageOf(result),
          failures: failuresOf(result),
        };
  });
}

function writesOf(input: DecideInput, budget: Budget): StateWrite[] {
  const { matched, states, now, call } = input;
  const { projectId } = call.principal;
  const writes: StateWrite[] = [];
  for (const [index, { use }] of matched.plan.uses.entries()) {
    const next = use.next(states[index], input, budget);
    const key = matched.reads[index]?.key;
    if (next !== undefined && key !== undefined) {
      const { value, keepsTime, expireTime } = next;
      writes.push({ key, projectId, value, time: now, keepsTime, expireTime });
    }
  }
  return writes;
}
