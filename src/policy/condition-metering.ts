import { type Expr, ExpressionError } from './condition-expr.ts';
import { ITEM, RANGE } from './condition-functions.ts';

const MAX_NODES = 2000;

/**
 * Changes every comprehension of an expression so that it tells what it costs: its range before the first item, and the nodes that are
 * evaluated for an item before each. Returns the number of nodes there were.
 *
 * @throws ExpressionError when the expression has too many nodes
 */
export function meterLoops(root: Expr): number {
  let nodes = 0;

  function meter(expr: Expr | undefined): void {
    if (expr === undefined) return;
    if (++nodes > MAX_NODES) throw new ExpressionError(expr.id, `the expression has more than ${MAX_NODES} parts`);
    const { exprKind } = expr;
    if (exprKind.case !== 'comprehensionExpr') {
      for (const part of partsOf(expr)) meter(part);
      return;
    }
    const loop = exprKind.value;
    meter(loop.iterRange);
    meter(loop.accuInit);
    meter(loop.result);
    const before = nodes;
    meter(loop.loopCondition);
    meter(loop.loopStep);
    if (loop.iterRange) loop.iterRange = createCall(RANGE, [loop.iterRange]);
    if (loop.loopCondition) {
      loop.loopCondition = createCall(ITEM, [loop.loopCondition, createInt(loop.loopCondition.id, nodes - before)]);
    }
  }

  meter(root);
  return nodes;
}

function partsOf({ exprKind }: Expr): readonly (Expr | undefined)[] {
  switch (exprKind.case) {
    case 'selectExpr':
      return [exprKind.value.operand];
    case 'callExpr':
      return [exprKind.value.target, ...exprKind.value.args];
    case 'listExpr':
      return exprKind.value.elements;
    case 'structExpr':
      return exprKind.value.entries.flatMap(({ keyKind, value }) => [
        keyKind.case === 'mapKey' ? keyKind.value : undefined,
        value,
      ]);
    default:
      return [];
  }
}

function createCall(name: string, args: Expr[]): Expr {
  return {
    $typeName: 'cel.expr.Expr',
    id: args[0]?.id ?? 0n,
    exprKind: { case: 'callExpr', value: { $typeName: 'cel.expr.Expr.Call', function: name, args } },
  };
}

function createInt(id: bigint, value: number): Expr {
  return {
    $typeName: 'cel.expr.Expr',
    id,
    exprKind: {
      case: 'constExpr',
      value: { $typeName: 'cel.expr.Constant', constantKind: { case: 'int64Value', value: BigInt(value) } },
    },
  };
}
