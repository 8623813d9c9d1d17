import { GatewayError } from '../domain/errors.ts';

/** What may still be spent on the decision of one call; less than 0 = it has cost too much. */
export interface Budget {
  /** In units of about 100 ns. */
  left: number;
}

/** What the decision of one call may cost: some 50 ms, once everything is warm. */
const MAX_COST = 500_000;

/** Makes the budget of one decision, which all rules share. */
export function createBudget(): Budget {
  return { left: MAX_COST };
}

/** Adds a cost. @throws GatewayError when the decision has become too expensive */
export function spend(budget: Budget, cost: number): void {
  budget.left -= cost;
  if (budget.left < 0) throw tooExpensive();
}

/** The error of a decision that costs too much. */
export function tooExpensive(): GatewayError {
  return new GatewayError('policy_denied', 'the rules take too long to evaluate for these arguments');
}
