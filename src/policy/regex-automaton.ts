import { type Budget, createBudget } from './budget.ts';
import { NO_CODE_POINT, type Program } from './regex-program.ts';
import { createStates, type State, type Transition } from './regex-states.ts';

/**
 * Tells whether a program matches somewhere in a text; undefined when that takes too long to find out. Spends the budget, but does not
 * throw. Without a budget, the text has one for itself.
 */
export type Automaton = (text: string, budget?: Budget) => boolean | undefined;

/** What finding steps may cost one program in one decision: some 20 ms. */
const MAX_COST = 200_000;
/** What a text costs, a character whose step is known, and an instruction that is looked at to find a step. */
const TEXT_COST = 1;
const CHARACTER_COST = 0.15;
const INSTRUCTION_COST = 0.75;

/**
 * Makes a deterministic automaton whose states are found while texts are read (RE2's lazy DFA). A character costs one look-up once it is
 * known where it leads, and never more than the size of the program.
 *
 * A decision pays for every step that it takes for the first time, even if other calls have taken it before: what a call costs does not
 * depend on the calls before it.
 */
export function createAutomaton(program: Program): Automaton {
  const states = createStates(program);
  let payer: Budget | undefined;
  let left = 0;

  function pay(from: State | undefined, codePoint: number, budget: Budget): Transition | undefined {
    const transition = states.take(from, codePoint);
    const cost = transition.instructions * INSTRUCTION_COST;
    left -= cost;
    budget.left -= cost;
    return left < 0 || budget.left < 0 ? undefined : transition;
  }

  function read(text: string, budget: Budget): boolean | undefined {
    let next = states.isPaid(states.first) ? states.first : pay(undefined, NO_CODE_POINT, budget);
    for (let at = 0; at < text.length; at++) {
      if (next === undefined || typeof next.to === 'string') return answerOf(next);
      const state: State = next.to;
      const unit = text.charCodeAt(at);
      const codePoint = unit < 0xd800 ? unit : (text.codePointAt(at) ?? unit);
      if (codePoint > 0xffff) at++;
      const known: Transition | undefined = unit < 128 ? state.ascii[unit] : state.others.get(codePoint);
      next = states.isPaid(known) ? known : pay(state, codePoint, budget);
    }
    if (next === undefined || typeof next.to === 'string') return answerOf(next);
    const { end } = next.to;
    return answerOf(states.isPaid(end) ? end : pay(next.to, NO_CODE_POINT, budget));
  }

  return (text, budget = createBudget()) => {
    if (payer !== budget) {
      payer = budget;
      left = MAX_COST;
      states.begin();
    }
    if (left < 0) return undefined;
    budget.left -= TEXT_COST + text.length * CHARACTER_COST;
    return budget.left < 0 ? undefined : read(text, budget);
  };
}

function answerOf(transition: Transition | undefined): boolean | undefined {
  return transition && transition.to === 'match';
}
