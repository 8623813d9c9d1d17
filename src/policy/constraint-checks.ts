import type {
  ArgumentConstraint,
  ArrayConstraint,
  BooleanConstraint,
  NumberConstraint,
  StringConstraint,
} from '../domain/policy.ts';
import { type Budget, spend } from './budget.ts';
import {
  type CompareToBound,
  createBound,
  isJsonNumber,
  type JsonNumber,
  toFiniteNumber,
  writeNumber,
} from './number.ts';
import { compileRegex } from './regex.ts';
import { countCharacters, hasCharacters } from './text-length.ts';

/** One check that a value failed. */
export interface Failure {
  /** As in ConstraintFailure. */
  readonly check: string;
  readonly expected: string;
  readonly actual: string;
}

/** Checks one value; undefined as the value = nothing is there, undefined as the result = it passes. Throws when the budget is spent. */
export type Check = (value: unknown, budget: Budget) => readonly Failure[] | undefined;

/** A check of a value whose type is known; a function is called only when the check fails. */
interface TypedCheck<T> {
  readonly name: string;
  readonly expected: string;
  holds(value: T, budget: Budget): boolean;
  actual(value: T, budget: Budget): string;
}

/**
 * Compiles all that a constraint says of one value.
 *
 * @throws GatewayError `validation_failed` when a regular expression cannot be compiled
 */
export function compileCheck(constraint: ArgumentConstraint): Check {
  const { required, notNull, type } = constraint;
  const checkType = type === undefined ? undefined : compileType(type);
  return (value, budget) => {
    if (value === undefined) return required ? missing : undefined;
    if (value === null) return notNull ? isNull : undefined;
    return checkType?.(value, budget);
  };
}

const missing: readonly Failure[] = [{ check: 'required', expected: 'a value', actual: 'nothing' }];
const isNull: readonly Failure[] = [{ check: 'not_null', expected: 'a value that is not null', actual: 'null' }];

function compileType(type: NonNullable<ArgumentConstraint['type']>): Check {
  switch (type.kind) {
    case 'number':
      return compileNumber(type);
    case 'string':
      return createCheck('a string', (value) => typeof value === 'string', stringChecks(type));
    case 'array':
      return createCheck<readonly unknown[]>('an array', Array.isArray, arrayChecks(type));
    case 'boolean':
      return createCheck('a boolean', (value) => typeof value === 'boolean', booleanChecks(type));
  }
}

function createCheck<T>(
  typeName: string,
  hasType: (value: unknown) => value is T,
  checks: readonly TypedCheck<T>[],
): Check {
  return (value, budget) => {
    if (!hasType(value)) return [{ check: 'type', expected: typeName, actual: describeValue(value) }];
    let failures: Failure[] | undefined;
    for (const check of checks) {
      if (check.holds(value, budget)) continue;
      failures ??= [];
      failures.push({ check: check.name, expected: check.expected, actual: check.actual(value, budget) });
    }
    return failures;
  };
}

/** More of a text than is ever told, in UTF-16 code units: the rest is not worth its time. */
const MAX_DESCRIBED = 200;

/** A value for people: JSON text, but of an object or array only what it is. */
export function describeValue(value: unknown): string {
  if (Array.isArray(value)) return value.length === 1 ? 'an array of 1 item' : `an array of ${value.length} items`;
  if (isJsonNumber(value)) return writeNumber(value);
  if (typeof value === 'string') return JSON.stringify(value.slice(0, MAX_DESCRIBED));
  return typeof value === 'object' && value !== null ? 'an object' : String(value);
}

function compileNumber(type: NumberConstraint): Check {
  const checkBounds = createCheck('a number', isJsonNumber, boundChecks(type));
  return (value, budget) => {
    if (!isJsonNumber(value)) return checkBounds(value, budget);
    if (typeof value !== 'number') spend(budget, 2 + value.rawJSON.length / CHARACTERS);
    if (toFiniteNumber(value) !== undefined) return checkBounds(value, budget);
    return [{ check: 'finite', expected: 'a finite number', actual: writeNumber(value) }];
  };
}

/** Characters that are looked at for one unit of cost. */
const CHARACTERS = 64;
/** What the exact comparison of a number costs, before its digits are counted, and each of them. */
const EXACT_COST = 20;
const DIGIT_COST = 0.4;

type Order = -1 | 0 | 1;

function boundChecks(type: NumberConstraint): TypedCheck<JsonNumber>[] {
  const bounds: readonly (readonly [string, number | undefined, (order: Order) => boolean])[] = [
    ['minimum', type.minimum, (order) => order >= 0],
    ['maximum', type.maximum, (order) => order <= 0],
    ['greater_than', type.greaterThan, (order) => order > 0],
    ['less_than', type.lessThan, (order) => order < 0],
    ['greater_than_or_equal', type.greaterThanOrEqual, (order) => order >= 0],
    ['less_than_or_equal', type.lessThanOrEqual, (order) => order <= 0],
  ];
  return bounds.flatMap(([name, bound, accepts]) =>
    bound === undefined ? [] : [createBoundCheck(name, bound, createBound(bound), accepts)],
  );
}

function createBoundCheck(
  name: string,
  bound: number,
  compare: CompareToBound,
  accepts: (order: Order) => boolean,
): TypedCheck<JsonNumber> {
  const holds = (value: JsonNumber, budget: Budget) => {
    // Only then are the digits looked at.
    if (typeof value !== 'number' && Number(value.rawJSON) === bound) {
      spend(budget, EXACT_COST + DIGIT_COST * value.rawJSON.length);
    }
    const order = compare(value);
    return order !== undefined && accepts(order);
  };
  return { name, expected: String(bound), holds, actual: writeNumber };
}

function stringChecks(type: StringConstraint): TypedCheck<string>[] {
  const { regex, notRegex, minLength, maxLength } = type;
  const checks: TypedCheck<string>[] = [];
  if (minLength !== undefined)
    checks.push(lengthCheck('min_length', minLength, (text) => hasCharacters(text, minLength)));
  if (maxLength !== undefined) {
    checks.push(lengthCheck('max_length', maxLength, (text) => !hasCharacters(text, maxLength + 1)));
  }
  if (type.in.length > 0) checks.push(memberCheck('in', type.in, true));
  if (type.notIn.length > 0) checks.push(memberCheck('not_in', type.notIn, false));
  if (regex !== undefined) checks.push(regexCheck('regex', regex, true));
  if (notRegex !== undefined) checks.push(regexCheck('not_regex', notRegex, false));
  return checks;
}

function lengthCheck(name: string, length: number, isFine: (text: string) => boolean): TypedCheck<string> {
  const spendOn = (text: string, budget: Budget) => spend(budget, text.length / CHARACTERS);
  return {
    name,
    expected: String(length),
    holds(text, budget) {
      spendOn(text, budget);
      return isFine(text);
    },
    actual(text, budget) {
      spendOn(text, budget);
      return String(countCharacters(text));
    },
  };
}

function memberCheck(name: string, members: readonly string[], wanted: boolean): TypedCheck<string> {
  const set = new Set(members);
  const expected = members.map((member) => JSON.stringify(member)).join(', ');
  return { name, expected, holds: (text) => set.has(text) === wanted, actual: describeValue };
}

function regexCheck(name: string, pattern: string, wanted: boolean): TypedCheck<string> {
  const matches = compileRegex(pattern);
  let found: boolean | undefined;
  return {
    name,
    expected: pattern,
    holds(text, budget) {
      found = matches(text, budget);
      return found === wanted;
    },
    // Asked right after it did not hold: the text is not read again.
    actual: (text) => (found === undefined ? 'a text that takes too long to check' : describeValue(text)),
  };
}

function arrayChecks({ minItems, maxItems }: ArrayConstraint): TypedCheck<readonly unknown[]>[] {
  const actual = (items: readonly unknown[]) => String(items.length);
  const checks: TypedCheck<readonly unknown[]>[] = [];
  if (minItems !== undefined) {
    checks.push({ name: 'min_items', expected: String(minItems), holds: ({ length }) => length >= minItems, actual });
  }
  if (maxItems !== undefined) {
    checks.push({ name: 'max_items', expected: String(maxItems), holds: ({ length }) => length <= maxItems, actual });
  }
  return checks;
}

function booleanChecks({ mustBe }: BooleanConstraint): TypedCheck<boolean>[] {
  return mustBe === undefined
    ? []
    : [{ name: 'must_be', expected: String(mustBe), holds: (value) => value === mustBe, actual: String }];
}
