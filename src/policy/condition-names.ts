import { type Expr, ExpressionError } from './condition-expr.ts';
import type { ExprType } from './condition-type.ts';

/** The variables of an expression; each has fields, and is nothing by itself. */
export type Variables = Readonly<Record<string, Readonly<Record<string, ExprType>>>>;

/** What macros such as `all` declare, inside of what they loop over. */
export type Locals = ReadonlyMap<string, ExprType>;

const typeNames = new Set(['int', 'uint', 'double', 'bool', 'string', 'bytes', 'list', 'map', 'null_type', 'type']);

/**
 * Finds the type of a name that stands by itself.
 *
 * @throws ExpressionError when there is no such name, or it needs a field
 */
export function checkName(variables: Variables, locals: Locals, id: bigint, written: string): ExprType {
  const local = locals.get(written);
  if (local !== undefined) return local;
  const name = withoutDot(written);
  if (typeNames.has(name)) return 'type';
  if (Object.hasOwn(variables, name)) {
    throw new ExpressionError(id, `'${name}' cannot be used by itself; ${listFields(variables, name)}`);
  }
  const names = Object.keys(variables).join(', ');
  throw new ExpressionError(id, `there is no '${name}'; an expression can use ${names}`);
}

/** The variable that an expression is, when it is nothing but one. */
export function findVariable(variables: Variables, locals: Locals, { exprKind }: Expr): string | undefined {
  if (exprKind.case !== 'identExpr' || locals.has(exprKind.value.name)) return undefined;
  const name = withoutDot(exprKind.value.name);
  return Object.hasOwn(variables, name) ? name : undefined;
}

/**
 * Finds the type of a variable's field.
 *
 * @throws ExpressionError when it has no such field
 */
export function checkField(variables: Variables, id: bigint, variable: string, field: string): ExprType {
  const fields = variables[variable] ?? {};
  const type = Object.hasOwn(fields, field) ? fields[field] : undefined;
  if (type === undefined) {
    throw new ExpressionError(id, `'${variable}' has no field '${field}'; ${listFields(variables, variable)}`);
  }
  return type;
}

/**
 * Refuses a name that a macro must not declare, because it would hide something else.
 *
 * @throws ExpressionError
 */
export function requireFreeName(variables: Variables, id: bigint, name: string): void {
  if (Object.hasOwn(variables, name) || typeNames.has(name)) {
    throw new ExpressionError(id, `'${name}' already has a meaning: choose another name`);
  }
}

/** A leading dot says that the name is not one that a macro declared. */
function withoutDot(name: string): string {
  return name.replace(/^\./, '');
}

function listFields(variables: Variables, variable: string): string {
  const names = Object.keys(variables[variable] ?? {}).map((field) => `${variable}.${field}`);
  return `there is ${names.join(', ')}`;
}
