import type { StateRead, StateValue } from '../domain/policy-state.ts';
import type { DecideStep, DecisionRow } from './log-store.ts';
import type { StateView } from './state-view.ts';

/** A call that waits to be decided with state, together with others. */
export interface DecideCall {
  readonly reads: readonly StateRead[];
  /** Runs its step on the view. Returns the decision; undefined when the step failed, and then it changed nothing. */
  run(view: StateView): DecisionRow | undefined;
}

/** Makes a {@link DecideCall}; `result` returns what its step returned, or throws what it threw, once it has run. */
export function createDecideCall<Result>(
  reads: readonly StateRead[],
  step: (states: readonly (StateValue | undefined)[]) => DecideStep<Result>,
): DecideCall & { result(): Result } {
  let result = (): Result => {
    throw new Error('The call was not decided.');
  };
  return {
    reads,
    run(view) {
      try {
        const { decision, writes, result: made } = step(view.read(reads, Date.now()));
        view.write(writes);
        result = () => made;
        return decision;
      } catch (error) {
        result = () => {
          throw error;
        };
        return undefined;
      }
    },
    result: () => result(),
  };
}

/** Runs the steps of calls one after the other, each seeing what those before it wrote; returns their decisions. */
export function runCalls(calls: readonly DecideCall[], view: StateView): DecisionRow[] {
  return calls.flatMap((call) => call.run(view) ?? []);
}
