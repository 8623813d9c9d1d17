import type { CelEnv, CelFunc } from '@bufbuild/cel';
import { type Call, type Expr, ExpressionError, findText } from './condition-expr.ts';
import { takesTimeZone } from './condition-time.ts';
import { type ExprType, isAssignable, isComparable, joinTypes, typeOf, writeType } from './condition-type.ts';

/** Where the calls of an expression are looked up, and what is collected of them. */
export interface CallContext {
  readonly env: CelEnv;
  readonly patterns: Map<string, bigint>;
  readonly timeZones: Map<string, bigint>;
}

type TypeOf = (expr: Expr) => ExprType;

/**
 * Finds the type that a call or an operator results in.
 *
 * @throws ExpressionError when the arguments do not fit
 */
export function checkCall(context: CallContext, id: bigint, call: Call, typeOfExpr: TypeOf): ExprType {
  const target = call.target === undefined ? undefined : typeOfExpr(call.target);
  const types = call.args.map(typeOfExpr);
  if (call.function === 'matches') collectText(context.patterns, id, call, 'the regular expression of matches()');
  if (takesTimeZone(call.function) && types.length === 1) collectText(context.timeZones, id, call, 'the time zone');
  switch (call.function) {
    case '_&&_':
    case '_||_':
    case '@not_strictly_false':
      return requireBool(id, call, types);
    case '_?_:_':
      return checkChoice(id, call, types);
    case '_[_]':
      return checkIndex(id, types);
    default:
      return checkFunction(context.env, id, call, target, types);
  }
}

function collectText(texts: Map<string, bigint>, id: bigint, { args }: Call, what: string): void {
  const text = args[0] === undefined ? undefined : findText(args[0]);
  if (text === undefined)
    throw new ExpressionError(id, `${what} must be written as a text, so that it can be checked when it is saved`);
  texts.set(text, args[0]?.id ?? id);
}

function requireBool(id: bigint, call: Call, types: readonly ExprType[]): ExprType {
  const other = types.find((type) => !isAssignable(type, 'bool'));
  if (other !== undefined)
    throw new ExpressionError(
      id,
      `'${nameOf(call)}' takes what is true or false, not a value of type ${writeType(other)}`,
    );
  return 'bool';
}

function checkChoice(
  id: bigint,
  call: Call,
  [condition = 'dyn', yes = 'dyn', no = 'dyn']: readonly ExprType[],
): ExprType {
  requireBool(id, call, [condition]);
  if (!isComparable(yes, no)) {
    throw new ExpressionError(
      id,
      `'?:' chooses between ${writeType(yes)} and ${writeType(no)}: both must be of one type`,
    );
  }
  return joinTypes(yes, no);
}

function checkIndex(id: bigint, [from = 'dyn', index = 'dyn']: readonly ExprType[]): ExprType {
  if (from === 'dyn') return 'dyn';
  const needed = typeof from === 'string' ? undefined : 'list' in from ? 'int' : 'string';
  if (typeof from === 'string' || needed === undefined)
    throw new ExpressionError(id, `a value of type ${writeType(from)} has no items`);
  if (!isAssignable(index, needed)) {
    throw new ExpressionError(id, `an item of ${writeType(from)} is found by ${needed}, not by ${writeType(index)}`);
  }
  return 'list' in from ? from.list : from.map;
}

function checkFunction(
  env: CelEnv,
  id: bigint,
  call: Call,
  target: ExprType | undefined,
  types: readonly ExprType[],
): ExprType {
  const overloads = [...(env.funcs.find(call.function) ?? [])];
  if (overloads.length === 0) throw new ExpressionError(id, unknownFunction(call));
  const fitting = overloads.filter((overload) => fits(overload, target, types));
  if (fitting.length === 0 || !areComparable(call, types)) {
    const given = [...(target === undefined ? [] : [target]), ...types].map(writeType).join(', ');
    throw new ExpressionError(id, `'${nameOf(call)}' does not take (${given})`);
  }
  const [left, right] = types;
  if (call.function === '_+_' && isList(left) && isList(right)) return joinTypes(left, right);
  return fitting.map(({ result }) => typeOf(result)).reduce(joinTypes);
}

function unknownFunction({ function: name }: Call): string {
  return name === 'has' ? 'has() takes a field, such as has(call.arguments.amount)' : `there is no function '${name}'`;
}

function fits(overload: CelFunc, target: ExprType | undefined, types: readonly ExprType[]): boolean {
  if ((overload.target === undefined) !== (target === undefined)) return false;
  if (overload.target !== undefined && target !== undefined && !isAssignable(target, typeOf(overload.target)))
    return false;
  return (
    overload.arguments.length === types.length &&
    overload.arguments.every((taken, at) => isAssignable(types[at] ?? 'dyn', typeOf(taken)))
  );
}

/** The package compares anything with anything; what can never be the same is a mistake. */
function areComparable({ function: name }: Call, [left = 'dyn', right = 'dyn']: readonly ExprType[]): boolean {
  if (name === '_==_' || name === '_!=_') return isComparable(left, right);
  if (name !== '@in' || typeof right === 'string') return true;
  return isComparable(left, 'list' in right ? right.list : 'string');
}

function isList(type: ExprType | undefined): type is { readonly list: ExprType } {
  return typeof type === 'object' && 'list' in type;
}

/** The function as people write it: `_==_` is `==`. */
function nameOf({ function: name }: Call): string {
  return /[a-z]/.test(name) ? name.replace('@', '') : name.replaceAll('_', '');
}
