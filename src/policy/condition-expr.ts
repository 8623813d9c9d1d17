import type { parse } from '@bufbuild/cel';

/** An expression as the package parses it. */
export type Expr = NonNullable<ReturnType<typeof parse>['expr']>;
type ExprKind = Expr['exprKind'];
export type Call = Extract<ExprKind, { case: 'callExpr' }>['value'];
export type Select = Extract<ExprKind, { case: 'selectExpr' }>['value'];
export type Struct = Extract<ExprKind, { case: 'structExpr' }>['value'];
export type Comprehension = Extract<ExprKind, { case: 'comprehensionExpr' }>['value'];

/** What is wrong with an expression, and at which of its nodes. */
export class ExpressionError extends Error {
  override readonly name = 'ExpressionError';
  readonly exprId: bigint;

  constructor(exprId: bigint, message: string) {
    super(message);
    this.exprId = exprId;
  }
}

/** The text that an expression is, when it is nothing but a text. */
export function findText({ exprKind }: Expr): string | undefined {
  if (exprKind.case !== 'constExpr' || exprKind.value.constantKind.case !== 'stringValue') return undefined;
  return exprKind.value.constantKind.value;
}
