import type { RuleKind } from '../domain/policy.ts';
import { createPlainRule, type Finding, type RuleCode } from './compiled-rule.ts';
import { textOf } from './failure-text.ts';
import { createPatternClasses } from './pattern-classes.ts';

type Rule<Kind extends RuleKind['kind']> = Extract<RuleKind, { readonly kind: Kind }>;

/** Compiles a rule that results in the same for every call. */
export function compileEffectRule({ effect }: Rule<'effect'>): RuleCode {
  const finding: Finding = { effect, failures: [] };
  return createPlainRule(() => finding, { effects: [effect], isStatic: true, isTotal: true });
}

/** Compiles lists of tools: refused when denied, ALLOW when allowed, refused when there are others that are allowed. */
export function compileToolListRule({ allowedTools, deniedTools, violationEffect }: Rule<'tools'>): RuleCode {
  const allowed = createPatternClasses(allowedTools);
  const denied = createPatternClasses(deniedTools);
  const permitted: Finding = { effect: 'allow', failures: [] };
  const refused = (check: string, expected: string, tool: string): Finding => ({
    effect: violationEffect,
    failures: [{ path: '', check, expected, actual: textOf(tool) }],
  });
  return createPlainRule(
    ({ call: { tool = '' } }) => {
      if (denied.classOf(tool) !== 0) {
        return refused('denied_tools', 'a tool that is not on the list of denied tools', tool);
      }
      if (allowed.classOf(tool) !== 0) {
        return permitted;
      }
      return allowed.size > 0 ? refused('allowed_tools', 'a tool on the list of allowed tools', tool) : undefined;
    },
    { effects: [violationEffect, 'allow'], isStatic: true, isTotal: allowed.size > 0 },
  );
}
