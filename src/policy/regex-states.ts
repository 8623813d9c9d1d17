import {
  BEGIN_TEXT,
  createProgramWalker,
  NO_CODE_POINT,
  type Program,
  placeBetween,
  placeholderOf,
  type Reached,
} from './regex-program.ts';

/** A set of instructions that a match can be at, and where the next character leads. */
export interface State extends Reached {
  /** Stands for the code point before this place. */
  readonly before: number;
  /** By code point; what is not there yet is found by {@link States.take}. */
  readonly ascii: (Transition | undefined)[];
  readonly others: Map<number, Transition>;
  /** Where the end of the text leads. */
  end: Transition | undefined;
  /** The round in which it was last come to, and in which characters outside of ASCII were last counted; and how many they were. */
  round: number;
  othersRound: number;
  othersTaken: number;
}

/** Where a character leads: to another state, to a match, or to where no match is possible any more. */
export interface Transition {
  readonly to: State | 'match' | 'never';
  /** Instructions looked at to find it. */
  readonly instructions: number;
  /** The round in which it was last taken. */
  round: number;
}

/** The states of a program that were found so far. */
export interface States {
  /** Where every text begins, once that was taken. */
  readonly first: Transition | undefined;
  /** Begins a round: every transition costs again. */
  begin(): void;
  /** True when the transition was taken in this round. */
  isPaid(transition: Transition | undefined): transition is Transition;
  /** Takes a transition for the first time in this round: `from` undefined = the beginning, the code point NO_CODE_POINT = the end. */
  take(from: State | undefined, codePoint: number): Transition;
}

/** Most states of one round, and most instructions in them, some 1 KiB and 8 bytes each; twice as many are kept. */
const MAX_STATES = 500;
const MAX_INSTRUCTIONS = 50_000;
/** Most characters outside of ASCII that a state counts in one round; twice as many are remembered. */
const MAX_OTHERS = 64;
/** What a state takes besides its instructions. */
const STATE_COST = 5;

/** Finds states and steps, and keeps the states. */
interface StateTable {
  /** Where a character leads, and how many instructions were looked at for that; `from` undefined = the beginning. */
  step(from: State | undefined, codePoint: number): Pick<Transition, 'to' | 'instructions'>;
  /** True when no more should be kept. */
  isFull(): boolean;
  clear(): void;
}

function createStateTable(program: Program): StateTable {
  const walker = createProgramWalker(program);
  const states = new Map<string, State>();
  let kept = 0;

  function getState(reached: Reached, codePoint: number): State {
    const before = reached.asksForPlace ? placeholderOf(codePoint) : NO_CODE_POINT;
    const key = `${before} ${reached.instructions.join()}`;
    let state = states.get(key);
    if (state === undefined) {
      state = createState(reached, before);
      states.set(key, state);
      kept += reached.instructions.length;
    }
    return state;
  }

  function stepToFirst(): Transition['to'] {
    const reached = walker.reach([program.start], 0);
    return reached.isMatch ? 'match' : getState(reached, NO_CODE_POINT);
  }

  function stepFrom(from: State, codePoint: number): Transition['to'] {
    const here = from.asksForPlace ? walker.reach(from.instructions, placeBetween(from.before, codePoint)) : from;
    if (here.isMatch) return 'match';
    if (codePoint === NO_CODE_POINT) return 'never';
    // A match may begin anywhere.
    const next = walker.reach([program.start, ...walker.take(here.instructions, codePoint)], 0, BEGIN_TEXT);
    if (next.isMatch) return 'match';
    return next.instructions.length === 0 ? 'never' : getState(next, codePoint);
  }

  return {
    step(from, codePoint) {
      walker.countSteps();
      const to = from === undefined ? stepToFirst() : stepFrom(from, codePoint);
      const written = typeof to === 'string' ? 0 : to.instructions.length;
      return { to, instructions: walker.countSteps() + written + STATE_COST };
    },
    isFull: () => states.size > MAX_STATES || kept > MAX_INSTRUCTIONS,
    clear() {
      states.clear();
      kept = 0;
    },
  };
}

/**
 * Makes the states of a program, as texts ask for them. All are dropped when they become too many. When that is depends on the round
 * alone, not on what is left of those before it, so that the same texts always cost the same.
 */
export function createStates(program: Program): States {
  const table = createStateTable(program);
  let first: Transition | undefined;
  let round = 0;
  let seen = 0;
  let seenInstructions = 0;

  function startRound(): void {
    round++;
    seen = 0;
    seenInstructions = 0;
  }

  function drop(): void {
    table.clear();
    first = undefined;
  }

  function comeTo(state: State): void {
    if (state.round === round) return;
    seen++;
    seenInstructions += state.instructions.length;
    if (seen > MAX_STATES || seenInstructions > MAX_INSTRUCTIONS) {
      drop();
      startRound();
    }
    state.round = round;
  }

  return {
    get first() {
      return first;
    },
    begin() {
      if (table.isFull()) drop();
      startRound();
    },
    isPaid: (transition): transition is Transition => transition?.round === round,
    take(from, codePoint) {
      const known = from === undefined ? first : findTransition(from, codePoint);
      const transition: Transition = known ?? { ...table.step(from, codePoint), round };
      if (from === undefined) first = transition;
      else keepTransition(from, codePoint, transition, round);
      if (typeof transition.to !== 'string') comeTo(transition.to);
      transition.round = round;
      return transition;
    },
  };
}

function findTransition(from: State, codePoint: number): Transition | undefined {
  if (codePoint === NO_CODE_POINT) return from.end;
  return codePoint < 128 ? from.ascii[codePoint] : from.others.get(codePoint);
}

function keepTransition(from: State, codePoint: number, transition: Transition, round: number): void {
  if (codePoint === NO_CODE_POINT) from.end = transition;
  else if (codePoint < 128) from.ascii[codePoint] = transition;
  else keepOther(from, codePoint, transition, round);
}

function createState(reached: Reached, before: number): State {
  return {
    ...reached,
    before,
    ascii: Array.from({ length: 128 }),
    others: new Map(),
    end: undefined,
    round: 0,
    othersRound: 0,
    othersTaken: 0,
  };
}

function keepOther(state: State, codePoint: number, transition: Transition, round: number): void {
  if (state.othersRound !== round) {
    state.othersRound = round;
    state.othersTaken = 0;
    if (state.others.size > MAX_OTHERS) state.others.clear();
  }
  if (++state.othersTaken > MAX_OTHERS) {
    state.others.clear();
    state.othersTaken = 1;
  }
  state.others.set(codePoint, transition);
}
