import type { ArgumentConstraint, NumberConstraint, RuleKind, StringConstraint } from '../domain/policy.ts';
import { parsePath } from './argument-path.ts';
import type { Budget } from './budget.ts';
import type { CheckLimits } from './check-limits.ts';
import type { Report } from './check-report.ts';
import { type Check, compileCheck } from './constraint-checks.ts';
import { compileRegex } from './regex.ts';

/** Reports constraints that cannot be read, check nothing, or are passed by nothing. */
export function checkArguments(
  { constraints }: Extract<RuleKind, { kind: 'arguments' }>,
  report: Report,
  limits: CheckLimits,
): void {
  if (constraints.length === 0) report.at('constraints').add('must have at least one constraint');
  for (const [index, constraint] of constraints.entries()) {
    checkConstraint(constraint, report.at(`constraints[${index}]`), limits);
  }
}

function checkConstraint(constraint: ArgumentConstraint, report: Report, limits: CheckLimits): void {
  const { path, type, required, notNull } = constraint;
  report.at('path').try(() => parsePath(path));
  if (type === undefined && !required && !notNull) report.add('checks nothing: set a type, required or not_null');
  switch (type?.kind) {
    case 'number':
      return checkNumber(type, report.at('number'));
    case 'string':
      return checkString(constraint, type, report.at('string'), limits);
    case 'array':
      return checkRange(type.minItems, type.maxItems, report.at('array'), ['min_items', 'max_items']);
    case 'boolean':
    case undefined:
      return undefined;
  }
}

type Name = readonly [string, string];

function checkRange(least: number | undefined, most: number | undefined, report: Report, [lower, upper]: Name): void {
  if (least !== undefined && most !== undefined && least > most) {
    report.add(`nothing can pass: ${lower} is ${least} and ${upper} is ${most}`);
  }
}

interface Bound {
  readonly name: string;
  readonly value: number;
  readonly isStrict: boolean;
}

function checkNumber(type: NumberConstraint, report: Report): void {
  const lower = [
    bound('minimum', type.minimum, false),
    bound('greater_than_or_equal', type.greaterThanOrEqual, false),
    bound('greater_than', type.greaterThan, true),
  ];
  const upper = [
    bound('maximum', type.maximum, false),
    bound('less_than_or_equal', type.lessThanOrEqual, false),
    bound('less_than', type.lessThan, true),
  ];
  for (const low of lower.flat()) {
    const high = upper.flat().find((candidate) => excludes(low, candidate));
    if (high !== undefined) {
      report.add(`nothing can pass: ${low.name} is ${low.value} and ${high.name} is ${high.value}`);
      return;
    }
  }
}

function bound(name: string, value: number | undefined, isStrict: boolean): Bound[] {
  return value === undefined ? [] : [{ name, value, isStrict }];
}

function excludes(low: Bound, high: Bound): boolean {
  return low.value > high.value || (low.value === high.value && (low.isStrict || high.isStrict));
}

function checkString(
  constraint: ArgumentConstraint,
  type: StringConstraint,
  report: Report,
  limits: CheckLimits,
): void {
  const { regex, notRegex } = type;
  let isReadable = true;
  for (const [name, pattern] of [
    ['regex', regex],
    ['not_regex', notRegex],
  ] as const) {
    if (pattern === undefined) continue;
    report.at(name).try(() => {
      isReadable = false;
      if (!limits.isExceeded()) compileRegex(pattern, limits.addRegex);
      isReadable = !limits.isExceeded();
    });
  }
  checkRange(type.minLength, type.maxLength, report, ['min_length', 'max_length']);
  if (isReadable && type.in.length > 0) checkMembers(constraint, type.in, report, limits);
}

function checkMembers(
  constraint: ArgumentConstraint,
  members: readonly string[],
  report: Report,
  { budget }: CheckLimits,
): void {
  const check = compileCheck(constraint);
  // What cannot be found out in time is no reason to refuse a policy.
  if (members.every((member) => budget.left >= 0 && refuses(check, member, budget))) {
    report.at('in').add('nothing can pass: the other checks refuse each of these texts');
  }
}

function refuses(check: Check, member: string, budget: Budget): boolean {
  try {
    return check(member, budget) !== undefined && budget.left >= 0;
  } catch {
    return false;
  }
}
