import type { CallPattern, RuleKind } from '../domain/policy.ts';
import type { StateValue } from '../domain/policy-state.ts';
import type { Evaluate, RuleCode, RuleFailure, StateUse } from './compiled-rule.ts';
import { spanText, textOf } from './failure-text.ts';
import { matchesAny } from './pattern.ts';
import { SESSION_STATE_MS } from './state-subject.ts';

type SequenceRule = Extract<RuleKind, { readonly kind: 'sequence' }>;

/** One of a sequence's two demands: the time of the last matching call is its state. */
interface Demand {
  readonly patterns: readonly CallPattern[];
  /** A use that only reads, for calls that do not match. */
  readonly read: StateUse;
  readonly mark: StateUse;
  check(state: StateValue | undefined, now: number): RuleFailure | undefined;
}

/** Compiles a rule that refuses calls that come without, or after, certain others of the session. */
export function compileSequenceRule(rule: SequenceRule): RuleCode {
  const demands = [onlyAfter(rule), neverAfter(rule)].filter(({ patterns }) => patterns.length > 0);
  const evaluate: Evaluate = ({ states, now }, base) => {
    const failures = demands.flatMap(({ check }, index) => check(states[base + index], now) ?? []);
    return failures.length === 0 ? undefined : { effect: rule.violationEffect, failures };
  };
  return {
    effects: [rule.violationEffect],
    isStatic: false,
    isTotal: false,
    observes: demands.flatMap(({ patterns }) => patterns),
    bind(place, isTarget) {
      if (isTarget) {
        return {
          evaluate,
          uses: demands.map(({ patterns, mark, read }) => (matchesAny(patterns, place) ? mark : read)),
        };
      }
      const uses = demands.flatMap(({ patterns, mark }) => (matchesAny(patterns, place) ? mark : []));
      return uses.length === 0 ? undefined : { uses };
    },
  };
}

function onlyAfter({ onlyAfter: patterns, withinMs }: SequenceRule): Demand {
  const within = withinMs === undefined ? '' : ` in the last ${spanText(withinMs)}`;
  const expected = textOf(`after ${patternsText(patterns)}${within}`);
  return {
    patterns,
    ...createUses('only_after', Math.max(SESSION_STATE_MS, withinMs ?? 0)),
    check(state, now) {
      // Written so that a time that is no number refuses.
      if (state !== undefined && (withinMs === undefined || now - state.time <= withinMs)) {
        return undefined;
      }
      return { path: '', check: 'only_after', expected, actual: lastText(state, now) };
    },
  };
}

function neverAfter({ neverAfter: patterns }: SequenceRule): Demand {
  const expected = textOf(`not after ${patternsText(patterns)}`);
  return {
    patterns,
    ...createUses('never_after', SESSION_STATE_MS),
    check: (state, now) =>
      state === undefined ? undefined : { path: '', check: 'never_after', expected, actual: lastText(state, now) },
  };
}

function createUses(part: string, lifetimeMs: number): Pick<Demand, 'read' | 'mark'> {
  const use = { part, scope: 'session' } as const;
  return {
    read: { ...use, next: () => undefined },
    mark: { ...use, next: (_state, { now }) => ({ value: 1, keepsTime: false, expireTime: now + lifetimeMs }) },
  };
}

function lastText(state: StateValue | undefined, now: number): string {
  return state === undefined ? 'not called before' : `called ${spanText(now - state.time)} ago`;
}

function patternsText(patterns: readonly CallPattern[]): string {
  return patterns
    .map(({ upstreamPattern, toolPattern }) =>
      upstreamPattern === '*' ? toolPattern : `${toolPattern} of ${upstreamPattern}`,
    )
    .join(' or ');
}
