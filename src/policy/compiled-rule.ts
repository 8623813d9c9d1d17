import type { ConstraintFailure, Effect } from '../domain/decision.ts';
import type { CallPattern, RateScope } from '../domain/policy.ts';
import type { StateValue } from '../domain/policy-state.ts';
import type { Budget } from './budget.ts';
import type { CallPlace } from './pattern.ts';
import type { PolicyCall } from './policy-call.ts';

/** What rules are evaluated with. */
export interface Evaluation {
  readonly call: PolicyCall;
  /** As the plan's reads. */
  readonly states: readonly (StateValue | undefined)[];
  /** Unix milliseconds. */
  readonly now: number;
  readonly redactedKeys: readonly string[];
}

/** A failed check, before it is known which rule is told. */
export type RuleFailure = Omit<ConstraintFailure, 'ruleId'>;

/** What one rule results in. */
export interface Finding {
  readonly effect: Effect;
  readonly failures: readonly RuleFailure[];
  /** True = the rule could not be evaluated, which the caller is told instead of the rule's own message. */
  readonly isBroken?: boolean;
}

/** Evaluates a rule; `base` is where the rule's first state stands. Undefined = no result. May throw, as it does when the budget is spent. */
export type Evaluate = (evaluation: Evaluation, base: number, budget: Budget) => Finding | undefined;

/** One state that a call reads and, when it is allowed, changes. */
export interface StateUse {
  /** Names the limit within its rule; must not depend on the order of limits, nor on the version. */
  readonly part: string;
  readonly scope: RateScope;
  readonly lag?: number;
  /** The state after an allowed call; undefined = as it is. Throws when the budget is spent. */
  next(state: StateValue | undefined, evaluation: Evaluation, budget: Budget): NextState | undefined;
}

/** What becomes of a state. */
export interface NextState {
  readonly value: number;
  readonly keepsTime: boolean;
  /** Unix milliseconds. */
  readonly expireTime: number;
}

/** A rule's part in the calls of one place. */
export interface BoundRule {
  /** Absent = the rule only observes these calls. */
  readonly evaluate?: Evaluate;
  readonly uses: readonly StateUse[];
}

/** What a rule of any kind is compiled to. */
export interface RuleCode {
  /** Everything the rule may result in. */
  readonly effects: readonly Effect[];
  /** True = the result depends on the place of a call alone, not on its arguments, the time or state. */
  readonly isStatic: boolean;
  /** True = there is a result for every call. */
  readonly isTotal: boolean;
  /** Calls that the rule observes, whether its policy targets them or not. */
  readonly observes: readonly CallPattern[];
  /** `isTarget` = the policy targets the call. Undefined = the rule has no part in it. */
  bind(place: CallPlace, isTarget: boolean): BoundRule | undefined;
}

/** The code of a rule without state, which has a part in all calls that its policy targets, and in no others. */
export function createPlainRule(
  evaluate: Evaluate,
  properties: Pick<RuleCode, 'effects'> & Partial<Pick<RuleCode, 'isStatic' | 'isTotal'>>,
): RuleCode {
  const bound: BoundRule = { evaluate, uses: [] };
  return {
    isStatic: false,
    isTotal: false,
    observes: [],
    ...properties,
    bind: (_place, isTarget) => (isTarget ? bound : undefined),
  };
}
