import { type CelError, isCelError, parse } from '@bufbuild/cel';
import { GatewayError } from '../domain/errors.ts';
import { type Budget, createBudget } from './budget.ts';
import { type CheckedExpression, checkExpression } from './condition-checker.ts';
import { createConditionEngine } from './condition-engine.ts';
import { type Expr, ExpressionError } from './condition-expr.ts';
import { meterLoops } from './condition-metering.ts';
import type { Variables } from './condition-names.ts';
import { getOffset } from './condition-time.ts';
import { writeType } from './condition-type.ts';
import type { ConditionInput } from './condition-values.ts';
import { compileRegex, type Matcher } from './regex.ts';

export type { ConditionInput } from './condition-values.ts';

/** Tells whether a condition holds for a call. Throws GatewayError when it cannot be evaluated, or costs too much. */
export interface Condition {
  /** Without a budget, the evaluation has one for itself. */
  (input: ConditionInput, budget?: Budget): boolean;
  /** The size of its regular expressions together, as {@link Matcher.size}. */
  readonly regexSize: number;
}

/** Longest expression, in UTF-16 code units. */
const MAX_LENGTH = 4096;
/** Deepest nesting of brackets: more could exhaust the parser's stack. */
const MAX_BRACKETS = 100;
/** Most that the regular expressions of one condition take together, as {@link Matcher.size}. */
const MAX_REGEX_SIZE = 20_000;
/** Most conditions that are kept compiled. */
const MAX_CONDITIONS = 5000;

const variables: Variables = {
  call: { tool: 'string', arguments: { map: 'dyn' } },
  principal: {
    kind: 'string',
    id: 'string',
    name: 'string',
    api_key_id: 'string',
    teams: { list: 'string' },
    owner_id: 'string',
  },
  upstream: { slug: 'string' },
  request: { time: 'google.protobuf.Timestamp' },
  session: { id: 'string' },
};

const engine = createConditionEngine();
const conditions = new Map<string, Condition>();

/**
 * Compiles a CEL expression, once for each text.
 *
 * @throws GatewayError `validation_failed` that says where the expression is wrong, as line:column
 */
export function compileCondition(expression: string): Condition {
  let condition = conditions.get(expression);
  if (condition === undefined) {
    condition = compile(expression);
    const [oldest] = conditions.size >= MAX_CONDITIONS ? conditions.keys() : [];
    if (oldest !== undefined) conditions.delete(oldest);
    conditions.set(expression, condition);
  }
  return condition;
}

function compile(expression: string): Condition {
  const { expr, positions } = read(expression);
  const place = (id: bigint) => placeOf(expression, positions[id.toString()] ?? 0);
  try {
    const checked = checkExpression(engine.env, variables, expr);
    requireTruth(expr, checked);
    requireTimeZones(checked);
    const matchers = compilePatterns(checked);
    const nodes = meterLoops(expr);
    const evaluate = engine.plan({ expr, nodes, fields: checked.fields, matchers });
    const holds = (input: ConditionInput, budget = createBudget()) => {
      const result = evaluate(input, budget);
      if (typeof result === 'boolean') return result;
      throw failed(isCelError(result) ? describeFailure(result, expression, place) : 'the result is not true or false');
    };
    return Object.assign(holds, { regexSize: sizeOf(matchers.values()) });
  } catch (error) {
    throw error instanceof ExpressionError ? invalid(`${place(error.exprId)}: ${error.message}`) : error;
  }
}

function read(expression: string): { readonly expr: Expr; readonly positions: Readonly<Record<string, number>> } {
  if (expression.length > MAX_LENGTH) throw invalid(`the expression is longer than ${MAX_LENGTH} characters`);
  if (nestsTooDeep(expression))
    throw invalid(`the expression has more than ${MAX_BRACKETS} brackets inside of each other`);
  try {
    const { expr, sourceInfo } = parse(expression);
    if (expr !== undefined) return { expr, positions: sourceInfo?.positions ?? {} };
  } catch (error) {
    throw invalid(describeSyntaxError(error));
  }
  throw invalid('the expression is empty');
}

// Brackets in texts and comments count as well, which does no harm.
function nestsTooDeep(expression: string): boolean {
  let depth = 0;
  for (const [bracket] of expression.matchAll(/[([{}\])]/g)) {
    depth = '([{'.includes(bracket) ? depth + 1 : Math.max(0, depth - 1);
    if (depth > MAX_BRACKETS) return true;
  }
  return false;
}

function describeSyntaxError(error: unknown): string {
  if (!(error instanceof Error) || error instanceof RangeError) return 'the expression is nested too deeply';
  const [, place, what] = /<input>:(\d+:\d+): (.*)/s.exec(error.message) ?? [];
  return place === undefined ? error.message : `${place}: ${what}`;
}

function requireTruth({ id }: Expr, { type }: CheckedExpression): void {
  if (type === 'bool' || type === 'dyn') return;
  throw new ExpressionError(id, `the expression must be true or false, not a value of type ${writeType(type)}`);
}

function requireTimeZones({ timeZones }: CheckedExpression): void {
  for (const [zone, id] of timeZones) {
    try {
      getOffset(zone, 0);
    } catch {
      throw new ExpressionError(id, `there is no time zone '${zone}'; use a name such as 'Europe/Berlin'`);
    }
  }
}

function compilePatterns({ patterns }: CheckedExpression): ReadonlyMap<string, Matcher> {
  const matchers = new Map<string, Matcher>();
  for (const [pattern, id] of patterns) {
    matchers.set(pattern, compileMatcher(pattern, id));
    if (sizeOf(matchers.values()) > MAX_REGEX_SIZE) {
      throw new ExpressionError(id, 'the regular expressions up to this one are too large together');
    }
  }
  return matchers;
}

function sizeOf(matchers: Iterable<Matcher>): number {
  let size = 0;
  for (const matcher of matchers) size += matcher.size;
  return size;
}

function compileMatcher(pattern: string, id: bigint): Matcher {
  try {
    return compileRegex(pattern);
  } catch (error) {
    throw error instanceof GatewayError ? new ExpressionError(id, error.message) : error;
  }
}

/** A place in a text as line:column, both from 1. */
function placeOf(text: string, offset: number): string {
  const before = text.slice(0, offset);
  return `${before.split('\n').length}:${offset - before.lastIndexOf('\n')}`;
}

const harmless = /^(?:found no matching overload|u?int (?:divide|modulus) by zero$)/;

// The package's messages may hold values of the call, which must not be recorded; names that the expression holds itself are none.
function describeFailure(error: CelError, expression: string, place: (id: bigint) => string): string {
  const where = error.exprId === undefined ? '' : `${place(error.exprId)}: `;
  if (error.cause instanceof GatewayError) return where + error.cause.message;
  const [, field] = /^field not found: (.*)$/s.exec(error.message) ?? [];
  if (field !== undefined && expression.includes(field)) return `${where}there is no '${field}'`;
  if (harmless.test(error.message)) return where + error.message;
  return `${where}the condition cannot be evaluated`;
}

function invalid(message: string): GatewayError {
  return new GatewayError('validation_failed', message);
}

function failed(message: string): GatewayError {
  return new GatewayError('policy_denied', message);
}
