import { GatewayError } from '../domain/errors.ts';
import { type Budget, createBudget } from './budget.ts';

/** What one policy may take to be read: some 200 ms. */
const MAX_EXPRESSIONS = 32 * 1024;
const MAX_REGEXES = 20_000;
/** Most that are told of what cannot be read. */
const MAX_FAILED = 10;

/** Keeps count of what it takes to read a policy. */
export interface CheckLimits {
  /** Counts an expression and reads it, which tells the size of its regular expressions. @throws GatewayError when it is the one too many */
  addExpression(expression: string, read: () => number): void;
  /** Reads a regular expression, which tells its size, and counts it. @throws GatewayError when it is the one too many */
  addRegex(read: () => number): void;
  /** True = there was one too many: no more are read. */
  isExceeded(): boolean;
  /** For trying out what the policy says. */
  readonly budget: Budget;
}

/** Makes the limits of one policy. */
export function createCheckLimits(): CheckLimits {
  let expressions = 0;
  let regexes = 0;
  let failed = 0;
  const isExceeded = () => expressions > MAX_EXPRESSIONS || regexes > MAX_REGEXES || failed > MAX_FAILED;

  function addRegex(read: () => number): void {
    if (isExceeded()) return;
    // What cannot be read may take as long as the largest that can.
    failed++;
    regexes += read();
    failed--;
    if (regexes > MAX_REGEXES) {
      throw tooLarge(
        'the regular expressions of the policy are too large together: this is the first that has no room',
      );
    }
  }

  return {
    addExpression(expression, read) {
      if (isExceeded()) return;
      expressions += expression.length;
      if (expressions > MAX_EXPRESSIONS) {
        throw tooLarge(
          `the expressions of the policy are longer than ${MAX_EXPRESSIONS} characters together: this is the first that has no room`,
        );
      }
      addRegex(read);
    },
    addRegex,
    isExceeded,
    budget: createBudget(),
  };
}

function tooLarge(what: string): GatewayError {
  return new GatewayError('validation_failed', what);
}
