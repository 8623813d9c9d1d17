import type { RuleKind, SessionCounter } from '../domain/policy.ts';
import type { StateValue } from '../domain/policy-state.ts';
import type { Budget } from './budget.ts';
import type { Evaluate, Evaluation, RuleCode, RuleFailure, StateUse } from './compiled-rule.ts';
import { createSumLimits } from './cumulative-limit.ts';
import { matchesAny } from './pattern.ts';
import { SESSION_STATE_MS } from './state-subject.ts';

type SessionRule = Extract<RuleKind, { readonly kind: 'session' }>;

/** One limit of a session rule: its state, and what fails of a call. */
export interface SessionLimit {
  readonly use: StateUse;
  check(state: StateValue | undefined, evaluation: Evaluation, budget: Budget): RuleFailure | undefined;
}

/** Compiles limits on what may happen in one session. */
export function compileSessionRule(rule: SessionRule): RuleCode {
  const { maxCalls, cumulativeLimits, counters, violationEffect } = rule;
  requireDifferentNames(counters);
  const always = [...(maxCalls === 0 ? [] : [createCallLimit(maxCalls)]), ...createSumLimits(cumulativeLimits)];
  return {
    effects: [violationEffect],
    isStatic: false,
    isTotal: false,
    observes: counters.flatMap(({ increment, decrement }) => [...increment, ...decrement]),
    bind(place, isTarget) {
      const counted = counters.flatMap((counter) => {
        const step = Number(matchesAny(counter.increment, place)) - Number(matchesAny(counter.decrement, place));
        return step === 0 ? [] : createCounterLimit(counter, step);
      });
      const limits = isTarget ? [...always, ...counted] : counted;
      if (limits.length === 0) {
        return undefined;
      }
      const uses = limits.map(({ use }) => use);
      return isTarget ? { uses, evaluate: evaluateLimits(limits, violationEffect) } : { uses };
    },
  };
}

function evaluateLimits(limits: readonly SessionLimit[], effect: SessionRule['violationEffect']): Evaluate {
  return (evaluation, base, budget) => {
    const failures = limits.flatMap(
      ({ check }, index) => check(evaluation.states[base + index], evaluation, budget) ?? [],
    );
    return failures.length === 0 ? undefined : { effect, failures };
  };
}

/** Two counters of one name would share their state. */
function requireDifferentNames(counters: readonly SessionCounter[]): void {
  if (new Set(counters.map(({ name }) => name)).size < counters.length) {
    throw new Error('the counters of a rule have different names');
  }
}

function createCallLimit(maxCalls: number): SessionLimit {
  return {
    use: { part: 'calls', scope: 'session', next: (state, { now }) => counted((state?.value ?? 0) + 1, now) },
    check(state) {
      const before = state?.value ?? 0;
      // Here and below written so that a state that is no number refuses.
      if (before + 1 <= maxCalls) {
        return undefined;
      }
      return { path: '', check: 'max_calls', expected: `at most ${maxCalls} in a session`, actual: `${before} before` };
    },
  };
}

function createCounterLimit({ name, maximum }: SessionCounter, step: number): SessionLimit {
  return {
    use: {
      part: `counter.${name}`,
      scope: 'session',
      next: (state, { now }) => counted(Math.max(0, (state?.value ?? 0) + step), now),
    },
    check(state) {
      const before = state?.value ?? 0;
      if (step < 0 || before + step <= maximum) {
        return undefined;
      }
      return { path: name, check: 'counter', expected: `at most ${maximum}`, actual: `${before} before` };
    },
  };
}

function counted(value: number, now: number) {
  return { value, keepsTime: false, expireTime: now + SESSION_STATE_MS };
}
