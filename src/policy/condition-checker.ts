import { type CallContext, checkCall } from './condition-calls.ts';
import { type Comprehension, type Expr, ExpressionError, type Select, type Struct } from './condition-expr.ts';
import {
  checkField,
  checkName,
  findVariable,
  type Locals,
  requireFreeName,
  type Variables,
} from './condition-names.ts';
import { type ExprType, isAssignable, joinTypes, writeType } from './condition-type.ts';

/** What was found out about an expression. */
export interface CheckedExpression {
  readonly type: ExprType;
  /** The fields it reads, such as `call.tool`. */
  readonly fields: ReadonlySet<string>;
  /** The texts that are used as regular expressions, each with its node. */
  readonly patterns: ReadonlyMap<string, bigint>;
  /** The texts that are used as time zones, each with its node. */
  readonly timeZones: ReadonlyMap<string, bigint>;
}

const MAX_DEPTH = 100;
const MAX_LOOPS = 4;

/** What the check works with, and what it collects. */
interface Context extends CallContext {
  readonly variables: Variables;
  readonly fields: Set<string>;
}

/** One place of an expression. */
interface Scope {
  readonly depth: number;
  readonly loops: number;
  readonly locals: Locals;
}

/**
 * Finds the type of an expression. The package has only the beginning of a type checker (0.6.1), so this one walks the tree: it refuses
 * unknown names and fields, and calls that no overload takes.
 *
 * @throws ExpressionError with the node that is wrong
 */
export function checkExpression(env: CallContext['env'], variables: Variables, root: Expr): CheckedExpression {
  const context: Context = { env, variables, fields: new Set(), patterns: new Map(), timeZones: new Map() };
  const type = check(context, root, { depth: 0, loops: 0, locals: new Map() });
  return { type, fields: context.fields, patterns: context.patterns, timeZones: context.timeZones };
}

function check(context: Context, expr: Expr, outer: Scope): ExprType {
  const scope = { ...outer, depth: outer.depth + 1 };
  if (scope.depth > MAX_DEPTH) {
    throw new ExpressionError(expr.id, `the expression is nested deeper than ${MAX_DEPTH} levels`);
  }
  const { id, exprKind } = expr;
  switch (exprKind.case) {
    case 'constExpr':
      return constantType(id, exprKind.value.constantKind.case);
    case 'identExpr':
      return checkName(context.variables, scope.locals, id, exprKind.value.name);
    case 'selectExpr':
      return checkSelect(context, id, exprKind.value, scope);
    case 'callExpr':
      return checkCall(context, id, exprKind.value, (argument) => check(context, argument, scope));
    case 'listExpr':
      return { list: joinAll(exprKind.value.elements.map((element) => check(context, element, scope))) };
    case 'structExpr':
      return checkStruct(context, id, exprKind.value, scope);
    case 'comprehensionExpr':
      return checkLoop(context, id, exprKind.value, scope);
    case undefined:
      throw incomplete(id);
  }
}

function checkSelect(context: Context, id: bigint, { operand, field, testOnly }: Select, scope: Scope): ExprType {
  if (operand === undefined) throw incomplete(id);
  const { variables, fields } = context;
  const variable = findVariable(variables, scope.locals, operand);
  if (variable !== undefined) {
    const type = checkField(variables, id, variable, field);
    const name = `${variable}.${field}`;
    if (testOnly) throw new ExpressionError(id, `${name} is always there, so has() is not needed`);
    fields.add(name);
    return type;
  }
  const type = fieldOf(id, check(context, operand, scope), field);
  return testOnly ? 'bool' : type;
}

function fieldOf(id: bigint, type: ExprType, field: string): ExprType {
  if (type === 'dyn') return 'dyn';
  if (typeof type === 'object' && 'map' in type) return type.map;
  throw new ExpressionError(id, `a value of type ${writeType(type)} has no field '${field}'`);
}

function checkStruct(context: Context, id: bigint, { messageName, entries }: Struct, scope: Scope): ExprType {
  if (messageName !== '') throw new ExpressionError(id, `a ${messageName} cannot be made in a condition`);
  const values = entries.map(({ keyKind, value }) => {
    if (keyKind.case !== 'mapKey' || value === undefined) throw incomplete(id);
    check(context, keyKind.value, scope);
    return check(context, value, scope);
  });
  return { map: joinAll(values) };
}

function checkLoop(context: Context, id: bigint, loop: Comprehension, scope: Scope): ExprType {
  const { iterRange, accuInit, loopCondition, loopStep, result, iterVar, accuVar } = loop;
  if (!iterRange || !accuInit || !loopCondition || !loopStep || !result) throw incomplete(id);
  if (scope.loops >= MAX_LOOPS) {
    throw new ExpressionError(id, `more than ${MAX_LOOPS} macros such as all() inside of each other`);
  }
  requireFreeName(context.variables, id, iterVar);
  const item = itemOf(iterRange.id, check(context, iterRange, scope));
  const initial = check(context, accuInit, scope);
  const outside = new Map(scope.locals).set(accuVar, initial);
  const inside = { ...scope, loops: scope.loops + 1, locals: new Map(outside).set(iterVar, item) };
  if (!isAssignable(check(context, loopCondition, inside), 'bool')) {
    throw new ExpressionError(id, 'this must be true or false for each item');
  }
  outside.set(accuVar, joinTypes(initial, check(context, loopStep, inside)));
  return check(context, result, { ...scope, locals: outside });
}

function itemOf(id: bigint, type: ExprType): ExprType {
  if (type === 'dyn') return 'dyn';
  if (typeof type === 'object') return 'list' in type ? type.list : 'string';
  throw new ExpressionError(id, `a value of type ${writeType(type)} has no items`);
}

function joinAll([first = 'dyn', ...others]: readonly ExprType[]): ExprType {
  return others.reduce(joinTypes, first);
}

function constantType(id: bigint, kind: string | undefined): ExprType {
  const type = kind === undefined ? undefined : constantTypes[kind];
  if (type === undefined) throw incomplete(id);
  return type;
}

const constantTypes: Readonly<Record<string, ExprType>> = {
  boolValue: 'bool',
  bytesValue: 'bytes',
  doubleValue: 'double',
  int64Value: 'int',
  uint64Value: 'uint',
  nullValue: 'null_type',
  stringValue: 'string',
};

function incomplete(id: bigint): ExpressionError {
  return new ExpressionError(id, 'this is not complete');
}
