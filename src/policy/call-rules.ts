import type { RuleKind } from '../domain/policy.ts';
import { createKeyRedaction } from '../domain/sensitive-keys.ts';
import { compileArgumentRule } from './arguments.ts';
import { brokenFinding } from './broken-rule.ts';
import { createPlainRule, type Finding, type RuleCode } from './compiled-rule.ts';
import { compileCondition } from './condition.ts';

type Rule<Kind extends RuleKind['kind']> = Extract<RuleKind, { readonly kind: Kind }>;

/** Compiles checks on arguments: refused as the strictest of those that fail says. */
export function compileArguments(rule: Rule<'arguments'>): RuleCode {
  const check = compileArgumentRule(rule);
  return createPlainRule(
    ({ call, redactedKeys }, _base, budget) => {
      const { effect, failures } = check(call.arguments, (key) => createKeyRedaction(redactedKeys)(key), budget);
      return effect === undefined ? undefined : { effect, failures };
    },
    { effects: [...new Set(rule.constraints.map(({ effect }) => effect))] },
  );
}

/** Compiles a condition: its effect when it is true, no result when it is false, DENY when it fails. */
export function compileConditionRule({ expression, effect }: Rule<'condition'>): RuleCode {
  const isTrue = compileCondition(expression);
  const finding: Finding = { effect, failures: [] };
  return createPlainRule(
    (evaluation, _base, budget) => {
      try {
        return isTrue(evaluation, budget) ? finding : undefined;
      } catch (error) {
        return brokenFinding('expression', error);
      }
    },
    { effects: [...new Set([effect, 'deny' as const])] },
  );
}
