import type { RuleKind } from '../domain/policy.ts';
import type { BoundRule, Evaluate, RuleCode, StateUse } from './compiled-rule.ts';

type RateRule = Extract<RuleKind, { readonly kind: 'rate' }>;

/** Compiles a rule that lets so many calls through in a rolling window. */
export function compileRateRule({ maxCalls, windowSeconds, per, violationEffect }: RateRule): RuleCode {
  const windowMs = windowSeconds * 1000;
  const calls: StateUse = {
    part: 'calls',
    scope: per,
    lag: maxCalls,
    next: (state, { now }) => ({ value: (state?.value ?? 0) + 1, keepsTime: true, expireTime: now + windowMs }),
  };
  const expected = `at most ${maxCalls} in ${windowSeconds} s`;
  const evaluate: Evaluate = ({ states, now }, base) => {
    const oldest = states[base]?.pastTime;
    // Written so that a time that is no number refuses.
    if (oldest === undefined || oldest <= now - windowMs) {
      return undefined;
    }
    const actual = `${maxCalls} since ${new Date(oldest).toISOString()}`;
    return { effect: violationEffect, failures: [{ path: '', check: 'max_calls', expected, actual }] };
  };
  const bound: BoundRule = { evaluate, uses: [calls] };
  return {
    effects: [violationEffect],
    isStatic: false,
    isTotal: false,
    observes: [],
    bind: (_place, isTarget) => (isTarget ? bound : undefined),
  };
}
