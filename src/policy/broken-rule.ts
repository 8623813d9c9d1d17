import { GatewayError } from '../domain/errors.ts';
import { createPlainRule, type Finding, type RuleCode } from './compiled-rule.ts';
import { textOf } from './failure-text.ts';

/** What a rule results in that cannot be evaluated: DENY, with what went wrong where that is known to hold no secret. */
export function brokenFinding(check: 'expression' | 'internal' | 'cost', error: unknown): Finding {
  const actual = error instanceof GatewayError ? textOf(error.message) : 'failed';
  return {
    effect: 'deny',
    isBroken: true,
    failures: [{ path: '', check, expected: 'can be evaluated', actual }],
  };
}

/** The code of a rule that could not be compiled: it denies every call that its policy targets. */
export function createBrokenRule(error: unknown): RuleCode {
  const finding = brokenFinding('internal', error);
  return createPlainRule(() => finding, { effects: ['deny'], isStatic: true, isTotal: true });
}
