import { GatewayError } from '../domain/errors.ts';
import type { Budget } from './budget.ts';

/** What one evaluation may cost. One unit is one node of the expression evaluated, some 100 ns. */
const MAX_COST = 100_000;

/** Counts what an evaluation costs. */
export interface CostMeter {
  /** Starts an evaluation, which costs the budget so much whatever it does. */
  start(budget: Budget, cost: number): void;
  /** Adds a cost. @throws GatewayError when the evaluation has become too expensive */
  spend(cost: number): void;
  /** Adds the cost of looking at so many characters or bytes. @throws GatewayError as `spend` */
  spendOnText(length: number): void;
  /** The budget of the evaluation, for what spends it by itself. */
  budget(): Budget;
  /** True = it became too expensive, even if the error was caught in between. */
  isExceeded(): boolean;
}

const spent: Budget = { left: 0 };

/** Makes a meter for evaluations that happen one after the other. */
export function createCostMeter(): CostMeter {
  let budget = spent;
  let least = 0;
  const isExceeded = () => budget.left < least;
  const spend = (cost: number) => {
    budget.left -= cost;
    if (isExceeded()) throw tooExpensive();
  };
  return {
    start(given, cost) {
      budget = given;
      least = Math.max(0, given.left - MAX_COST);
      spend(cost);
    },
    spend,
    spendOnText: (length) => spend(1 + length / 64),
    budget: () => budget,
    isExceeded,
  };
}

/** The error of an evaluation that costs too much. */
export function tooExpensive(): GatewayError {
  return new GatewayError('policy_denied', 'the condition takes too long to evaluate for these arguments');
}
