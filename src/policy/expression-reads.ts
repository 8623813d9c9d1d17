import { parse } from '@bufbuild/cel';

type Expr = NonNullable<ReturnType<typeof parse>['expr']>;

/** A place in a call's arguments that an expression reads. */
export interface ArgumentRead {
  /** Keys and indexes from the arguments down; empty = all of them. */
  readonly path: readonly (string | number)[];
  /** True when only whether the place exists is asked, not what is there or beneath. */
  readonly presenceOnly: boolean;
}

/** Where the CEL expression reads `call.arguments`: those places and what is beneath them, and maybe less. Throws when it doesn't parse. */
export function findArgumentReads(expression: string): readonly ArgumentRead[] {
  const reads: ArgumentRead[] = [];
  collect(parse(expression).expr, reads);
  return reads;
}

function collect(expr: Expr | undefined, reads: ArgumentRead[]): void {
  if (expr === undefined) return;
  const chain = chainOf(expr);
  if (chain === undefined) {
    for (const part of partsOf(expr)) collect(part, reads);
    return;
  }
  const [field, ...path] = chain;
  if (field === undefined) {
    reads.push({ path: [], presenceOnly: false });
  } else if (field === 'arguments') {
    reads.push({ path, presenceOnly: path.length > 0 && asksForPresence(expr) });
  }
}

/** `has(call.arguments.a)`, or `'a' in call.arguments`. */
function asksForPresence({ exprKind }: Expr): boolean {
  return (
    (exprKind.case === 'selectExpr' && exprKind.value.testOnly) ||
    (exprKind.case === 'callExpr' && exprKind.value.function === '@in')
  );
}

/** What `call` is followed by, such as `['arguments', 'items', 0]`; undefined when the expression is something else. */
function chainOf(expr: Expr | undefined): (string | number)[] | undefined {
  switch (expr?.exprKind.case) {
    case 'identExpr':
      // A leading dot names the same variable.
      return expr.exprKind.value.name.replace(/^\./, '') === 'call' ? [] : undefined;
    case 'selectExpr':
      return append(chainOf(expr.exprKind.value.operand), expr.exprKind.value.field);
    case 'callExpr': {
      const { function: name, args } = expr.exprKind.value;
      if (name === '_[_]') return append(chainOf(args[0]), constantOf(args[1]));
      const within = name === '@in' ? chainOf(args[1]) : undefined;
      // What is deeper may be a list, in which it is values that are looked for.
      return within?.join() === 'arguments' ? append(within, constantOf(args[0])) : undefined;
    }
    default:
      return undefined;
  }
}

function append(chain: (string | number)[] | undefined, key: string | number | undefined) {
  return chain === undefined || key === undefined ? undefined : [...chain, key];
}

function constantOf(expr: Expr | undefined): string | number | undefined {
  if (expr?.exprKind.case !== 'constExpr') return undefined;
  const { constantKind } = expr.exprKind.value;
  switch (constantKind.case) {
    case 'stringValue':
      return constantKind.value;
    case 'int64Value':
    case 'uint64Value':
      return Number(constantKind.value);
    default:
      return undefined;
  }
}

function partsOf({ exprKind }: Expr): (Expr | undefined)[] {
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
    case 'comprehensionExpr': {
      const { iterRange, accuInit, loopCondition, loopStep, result } = exprKind.value;
      return [iterRange, accuInit, loopCondition, loopStep, result];
    }
    default:
      return [];
  }
}
