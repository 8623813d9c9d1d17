import type { RuleKind } from '../domain/policy.ts';
import { createBrokenRule } from './broken-rule.ts';
import { compileArguments, compileConditionRule } from './call-rules.ts';
import type { RuleCode } from './compiled-rule.ts';
import { compileRateRule } from './rate.ts';
import { compileSequenceRule } from './sequence.ts';
import { compileSessionRule } from './session.ts';
import { compileEffectRule, compileToolListRule } from './static-rules.ts';
import { compileTimeWindowRule } from './time-window.ts';

/** Compiles what a rule says. Never throws: a rule that cannot be compiled denies the calls that its policy targets, and says so. */
export function compileRule(says: RuleKind): RuleCode {
  try {
    return compileKind(says);
  } catch (error) {
    return createBrokenRule(error);
  }
}

function compileKind(says: RuleKind): RuleCode {
  switch (says.kind) {
    case 'effect':
      return compileEffectRule(says);
    case 'tools':
      return compileToolListRule(says);
    case 'arguments':
      return compileArguments(says);
    case 'condition':
      return compileConditionRule(says);
    case 'time_window':
      return compileTimeWindowRule(says);
    case 'rate':
      return compileRateRule(says);
    case 'session':
      return compileSessionRule(says);
    case 'sequence':
      return compileSequenceRule(says);
    default:
      throw new Error('there is no such kind of rule');
  }
}
