import { type CelEnv, type CelResult, celEnv, plan } from '@bufbuild/cel';
import type { Budget } from './budget.ts';
import { createCostMeter, tooExpensive } from './condition-cost.ts';
import type { Expr } from './condition-expr.ts';
import { createConditionFunctions } from './condition-functions.ts';
import { type ConditionInput, conditionFields } from './condition-values.ts';
import type { Matcher } from './regex.ts';

/** What {@link ConditionEngine} needs to know of an expression besides its nodes. */
export interface PlanInput {
  readonly expr: Expr;
  /** How many nodes it has. */
  readonly nodes: number;
  /** The fields it reads, such as `call.tool`. */
  readonly fields: Iterable<string>;
  /** Its regular expressions, by their text. */
  readonly matchers: ReadonlyMap<string, Matcher>;
}

/** What an evaluation costs besides its nodes. */
const EVALUATION_COST = 10;

/** Evaluates one expression: its value, or what went wrong. Throws when it costs too much. */
export type Evaluator = (input: ConditionInput, budget: Budget) => CelResult;

/** Evaluates expressions, one after the other, and keeps count of what each costs. */
export interface ConditionEngine {
  readonly env: CelEnv;
  plan(input: PlanInput): Evaluator;
}

/** Makes an engine; one serves all expressions. */
export function createConditionEngine(): ConditionEngine {
  const meter = createCostMeter();
  let matchers: ReadonlyMap<string, Matcher> = new Map();
  const env: CelEnv = celEnv({ funcs: createConditionFunctions(meter, (pattern) => matchers.get(pattern)) });
  return {
    env,
    plan(input) {
      const evaluate = plan(env, input.expr);
      const bind = createBinding(input.fields);
      const cost = EVALUATION_COST + input.nodes / 2;
      return (call, budget) => {
        meter.start(budget, cost);
        ({ matchers } = input);
        const result = withoutStacks(() => evaluate(bind(call)));
        // An error that the expression swallowed, as `true || …` does, must not hide that it was cut short.
        if (meter.isExceeded()) throw tooExpensive();
        return result;
      };
    },
  };
}

/** An expression can fail for every item, and the stack of an error costs more than anything else about it. */
function withoutStacks<T>(run: () => T): T {
  const limit = Error.stackTraceLimit;
  Error.stackTraceLimit = 0;
  try {
    return run();
  } finally {
    Error.stackTraceLimit = limit;
  }
}

type Bindings = Record<string, ReturnType<(typeof conditionFields)[string]>>;

/** The package looks for a variable with the whole name, `call.tool`, before it looks for a field of `call`. */
function createBinding(fields: Iterable<string>): (input: ConditionInput) => Bindings {
  const readers = [...fields].map((name) => [name, getReader(name)] as const);
  return (input) => {
    const bindings = Object.create(null) as Bindings;
    for (const [name, read] of readers) bindings[name] = read(input);
    return bindings;
  };
}

function getReader(name: string): (typeof conditionFields)[string] {
  const reader = conditionFields[name];
  if (reader === undefined) throw new Error(`nothing reads '${name}'`);
  return reader;
}
