import type { ConstraintFailure, Effect, PolicyVersionRef } from '../domain/decision.ts';
import { brokenFinding } from './broken-rule.ts';
import { type Budget, createBudget, tooExpensive } from './budget.ts';
import type { CompiledPolicy, CompiledRule } from './compile-policy.ts';
import type { Evaluation, Finding } from './compiled-rule.ts';
import type { PlannedRule } from './plan.ts';

/** What rules of equal rank result in together: the strictest effect, and what those say that lead to it. */
export interface RuleResult {
  readonly effect: Effect;
  readonly outcomes: readonly Outcome[];
}

interface Outcome {
  readonly rule: CompiledRule;
  readonly finding: Finding;
}

const strictness: Readonly<Record<Effect, number>> = { allow: 1, require_approval: 2, deny: 3 };

/** What any rule costs. */
const RULE_COST = 2;

/**
 * Evaluates rules; undefined when none has a result. A rule that fails denies. So does the one that spends what is left of the budget,
 * and no more are evaluated after it.
 */
export function evaluateRules(
  rules: readonly PlannedRule[],
  evaluation: Evaluation,
  budget: Budget = createBudget(),
): RuleResult | undefined {
  let effect: Effect | undefined;
  let outcomes: Outcome[] = [];
  for (const planned of rules) {
    const finding = evaluateRule(planned, evaluation, budget);
    if (finding === undefined) {
      continue;
    }
    if (effect === undefined || strictness[finding.effect] > strictness[effect]) {
      effect = finding.effect;
      outcomes = [];
    }
    if (finding.effect === effect) {
      outcomes.push({ rule: planned.rule, finding });
    }
    if (budget.left < 0) {
      break;
    }
  }
  return effect === undefined ? undefined : { effect, outcomes };
}

function evaluateRule({ evaluate, base }: PlannedRule, evaluation: Evaluation, budget: Budget): Finding | undefined {
  budget.left -= RULE_COST;
  try {
    const finding = budget.left < 0 ? undefined : evaluate(evaluation, base, budget);
    // What was cut short may have found anything.
    return budget.left < 0 ? brokenFinding('cost', tooExpensive()) : finding;
  } catch (error) {
    return budget.left < 0 ? brokenFinding('cost', tooExpensive()) : brokenFinding('internal', error);
  }
}

/** The names of the rules, as `policy slug/rule id`. */
export function ruleIdsOf({ outcomes }: RuleResult): string[] {
  return outcomes.map(({ rule }) => rule.name);
}

/** The policies of the rules, each once. */
export function policiesOf({ outcomes }: RuleResult): CompiledPolicy[] {
  const policies: CompiledPolicy[] = [];
  for (const { rule } of outcomes) {
    // The rules of a policy stand together.
    if (rule.policy !== policies.at(-1)) {
      policies.push(rule.policy);
    }
  }
  return policies;
}

/** Names of these policies. */
export function refsOf(result: RuleResult): PolicyVersionRef[] {
  return policiesOf(result).map(({ ref }) => ref);
}

const noFailures: readonly ConstraintFailure[] = [];
/** Most failures that are told: callers choose how many there are, and every one is recorded. */
const MAX_FAILURES = 100;

/** What failed, rule by rule; the first hundred. */
export function failuresOf({ outcomes }: RuleResult): readonly ConstraintFailure[] {
  let failures: ConstraintFailure[] | undefined;
  for (const { rule, finding } of outcomes) {
    for (const failure of finding.failures) {
      failures ??= [];
      if (failures.length === MAX_FAILURES) {
        return failures;
      }
      failures.push({ ruleId: rule.name, ...failure });
    }
  }
  return failures ?? noFailures;
}

/** What the caller is told: the first rule's own message, or which rule it was. */
export function messageOf(result: RuleResult): string {
  const { effect, outcomes } = result;
  if (effect !== 'allow') {
    for (const { rule, finding } of outcomes) {
      if (finding.isBroken === true) {
        return `The rule '${rule.name}' cannot be evaluated, so the call is denied. An operator must look at it.`;
      }
      if (rule.message !== '') {
        return rule.message;
      }
    }
  }
  return sentenceAbout(effect, textOfRules(result));
}

/** Names the rules in a sentence: the first, and how many more. */
export function textOfRules({ outcomes: [first, ...more] }: RuleResult): string {
  const others = more.length === 0 ? '' : more.length === 1 ? ' and one more' : ` and ${more.length} more`;
  return `rule '${first?.rule.name}'${others}`;
}

/** A sentence for the caller about what was decided, and by what. */
export function sentenceAbout(effect: Effect, by: string): string {
  switch (effect) {
    case 'allow':
      return `Allowed by ${by}.`;
    case 'deny':
      return `Denied by ${by}.`;
    case 'require_approval':
      return `A human must approve this call: so says ${by}.`;
  }
}
