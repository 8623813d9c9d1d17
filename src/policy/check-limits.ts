import { GatewayError } from '../domain/errors.ts';
import { type Budget, createBudget } from './budget.ts';

/** What one policy may take to be read: some 200 ms. */
const MAX_EXPRESSIONS = 32 * 1024;
const MAX_REGEXES = 20_000;
/** What a condition counts whose regular expressions are not known, because it cannot be read. */
const UNREADABLE = 2_000;

/** Keeps count of what it takes to read a policy. */
export interface CheckLimits {
  /** True = there was one too many: no more are to be read. */
  isExceeded(): boolean;
  /** Counts the size of a regular expression. @throws GatewayError when there is no room for it */
  readonly addRegex: (size: number) => void;
  /** Counts an expression and reads it, which tells the size of its regular expressions. @throws GatewayError as `addRegex` */
  addExpression(expression: string, read: () => number): void;
  /** For trying out what the policy says. */
  readonly budget: Budget;
}

/** Makes the limits of one policy. */
export function createCheckLimits(): CheckLimits {
  let expressions = 0;
  let regexes = 0;

  function addRegex(size: number): void {
    regexes += size;
    if (regexes > MAX_REGEXES) throw noRoom('the regular expressions of the policy are too large together');
  }

  return {
    isExceeded: () => expressions > MAX_EXPRESSIONS || regexes > MAX_REGEXES,
    addRegex,
    addExpression(expression, read) {
      expressions += expression.length;
      if (expressions > MAX_EXPRESSIONS) {
        throw noRoom(`the expressions of the policy are longer than ${MAX_EXPRESSIONS} characters together`);
      }
      regexes += UNREADABLE;
      const size = read();
      regexes -= UNREADABLE;
      addRegex(size);
    },
    budget: createBudget(),
  };
}

function noRoom(what: string): GatewayError {
  return new GatewayError('validation_failed', `${what}: this is the first that has no room`);
}
