import type { Refusal, RuleKind } from '../domain/policy.ts';
import { MASK } from '../domain/sensitive-keys.ts';
import { type ArgumentPath, describePlace, parsePath, visitValues } from './argument-path.ts';
import { type Budget, createBudget, spend } from './budget.ts';
import type { RuleFailure } from './compiled-rule.ts';
import { type Check, compileCheck, describeValue, type Failure } from './constraint-checks.ts';
import { textOf } from './failure-text.ts';

/** What an ArgumentRule says of one call; no effect when the arguments pass. */
export interface ArgumentsFinding {
  readonly effect: Refusal | undefined;
  readonly failures: readonly RuleFailure[];
}

/** Checks the arguments of a call. `redact` tells which names hold values that must not be shown. Throws when the budget is spent. */
export type EvaluateArguments = (args: unknown, redact: (key: string) => boolean, budget?: Budget) => ArgumentsFinding;

/** Most failures that are reported of one call; those that come after still count for the effect. */
const MAX_FAILURES = 100;
/** Most failures that are reported of one constraint. */
const MAX_PER_CONSTRAINT = 20;

/** What a failure costs to find, and to describe. */
const FAILURE_COST = 10;
const DESCRIPTION_COST = 30;

const passed: ArgumentsFinding = { effect: undefined, failures: [] };

/**
 * Compiles the constraints of an ArgumentRule.
 *
 * @throws GatewayError `validation_failed` when a path or a regular expression cannot be read
 */
export function compileArgumentRule(says: Extract<RuleKind, { readonly kind: 'arguments' }>): EvaluateArguments {
  const collectAll = says.evaluation === 'collect_all';
  const constraints = says.constraints.map((constraint) => ({
    path: parsePath(constraint.path),
    effect: constraint.effect,
    check: compileCheck(constraint),
  }));
  return (args, redact, budget = createBudget()) => {
    let effect: Refusal | undefined;
    let failures: RuleFailure[] | undefined;
    for (const constraint of constraints) {
      const room = MAX_FAILURES - (failures?.length ?? 0);
      const most = collectAll && room > 0 ? MAX_PER_CONSTRAINT : 1;
      const found = findFailures(constraint, args, most, budget);
      if (found === undefined) continue;
      effect = effect === 'deny' ? 'deny' : constraint.effect;
      failures ??= [];
      const told = found.slice(0, room);
      spend(budget, DESCRIPTION_COST * told.length);
      failures.push(...describeFailures(told, constraint.path, redact));
      if (effect === 'deny' && !collectAll) break;
    }
    return failures === undefined ? passed : { effect, failures };
  };
}

interface Found extends Failure {
  readonly path: string;
}

/** What fails of one constraint, up to `most`; undefined when it holds. */
function findFailures(
  { path, check }: { readonly path: ArgumentPath; readonly check: Check },
  args: unknown,
  most: number,
  budget: Budget,
): Found[] | undefined {
  let found: Found[] | undefined;
  visitValues(path, args, budget, (value, place, needs) => {
    const failures = needs === undefined ? check(value, budget) : [wrongContainer(value, needs)];
    if (failures === undefined) return true;
    spend(budget, FAILURE_COST * failures.length);
    const where = describePlace(path, place);
    found ??= [];
    for (const failure of failures) found.push({ ...failure, path: where });
    return found.length < most;
  });
  return found?.slice(0, most);
}

function wrongContainer(value: unknown, needs: 'object' | 'array'): Failure {
  return { check: 'type', expected: `an ${needs}`, actual: describeValue(value) };
}

function describeFailures(
  found: readonly Found[],
  path: ArgumentPath,
  redact: (key: string) => boolean,
): RuleFailure[] {
  const isSensitive = path.segments.some((segment) => typeof segment === 'string' && redact(segment));
  return found.map(({ path: where, check, expected, actual }) => ({
    path: textOf(where),
    check,
    expected: textOf(expected),
    actual: isSensitive ? MASK : textOf(actual),
  }));
}
