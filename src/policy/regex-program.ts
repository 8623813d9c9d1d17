import type { RE2JS } from '@bufbuild/re2';

/** A compiled regular expression as @bufbuild/re2 has it: instructions of the machine that RE2 describes. */
export type Program = ReturnType<RE2JS['re2']>['prog'];

// The codes of the instructions, which the package does not export (Inst.js of 0.6.1).
const ALT = 1;
const ALT_MATCH = 2;
const CAPTURE = 3;
const EMPTY_WIDTH = 4;
const MATCH = 6;
const NOP = 7;
const RUNE = 8;

// What an EMPTY_WIDTH instruction asks of its place (Utils.js).
const BEGIN_LINE = 0x01;
const END_LINE = 0x02;
/** Only the place before the first code point has it. */
export const BEGIN_TEXT = 0x04;
const END_TEXT = 0x08;
const WORD_BOUNDARY = 0x10;
const NO_WORD_BOUNDARY = 0x20;

/** Stands for the code point before the first and after the last. */
export const NO_CODE_POINT = -1;
const NEWLINE = 0x0a;

/** Instructions that a match can be at. */
export interface Reached {
  /** In ascending order. */
  readonly instructions: readonly number[];
  /** True = the expression has matched. */
  readonly isMatch: boolean;
  /** True = some of them ask what stands around their place. */
  readonly asksForPlace: boolean;
}

/** Follows the instructions of a program; counts how many it looks at. */
export interface ProgramWalker {
  /** What can be reached from the instructions without a character, at a place with these properties. Places with `never` do not come. */
  reach(from: readonly number[], place: number, never?: number): Reached;
  /** The instructions after those that take the code point. */
  take(from: readonly number[], codePoint: number): number[];
  /** Instructions looked at since the last call. */
  countSteps(): number;
}

/** The properties of the place between two code points. */
export function placeBetween(before: number, after: number): number {
  let place = isWord(before) === isWord(after) ? NO_WORD_BOUNDARY : WORD_BOUNDARY;
  if (before === NO_CODE_POINT) place |= BEGIN_TEXT | BEGIN_LINE;
  if (before === NEWLINE) place |= BEGIN_LINE;
  if (after === NO_CODE_POINT) place |= END_TEXT | END_LINE;
  if (after === NEWLINE) place |= END_LINE;
  return place;
}

/** A code point that stands for all that make the same places as this one. */
export function placeholderOf(codePoint: number): number {
  if (codePoint === NO_CODE_POINT || codePoint === NEWLINE) return codePoint;
  return isWord(codePoint) ? 0x61 : 0x20;
}

function isWord(codePoint: number): boolean {
  return (
    (codePoint >= 0x61 && codePoint <= 0x7a) ||
    (codePoint >= 0x41 && codePoint <= 0x5a) ||
    (codePoint >= 0x30 && codePoint <= 0x39) ||
    codePoint === 0x5f
  );
}

/** Makes the walker of a program. */
export function createProgramWalker(program: Program): ProgramWalker {
  const seen = new Int32Array(program.numInst());
  let round = 0;
  let steps = 0;

  function reach(from: readonly number[], place: number, never = 0): Reached {
    round++;
    const instructions: number[] = [];
    let isMatch = false;
    let asksForPlace = false;
    const stack = [...from];
    for (let at = stack.pop(); at !== undefined; at = stack.pop()) {
      if (seen[at] === round) continue;
      seen[at] = round;
      steps++;
      const { op, out, arg } = program.getInst(at);
      if (op >= RUNE) {
        instructions.push(at);
      } else if (op === ALT || op === ALT_MATCH) {
        stack.push(arg, out);
      } else if (op === NOP || op === CAPTURE || (op === EMPTY_WIDTH && (arg & ~place) === 0)) {
        stack.push(out);
      } else if (op === EMPTY_WIDTH && (arg & never) === 0) {
        asksForPlace = true;
        instructions.push(at);
      } else if (op === MATCH) {
        isMatch = true;
      }
    }
    return { instructions: instructions.sort((one, other) => one - other), isMatch, asksForPlace };
  }

  function take(from: readonly number[], codePoint: number): number[] {
    steps += from.length;
    return from.flatMap((at) => {
      const instruction = program.getInst(at);
      return instruction.op >= RUNE && instruction.matchRune(codePoint) ? [instruction.out] : [];
    });
  }

  return {
    reach,
    take,
    countSteps() {
      const counted = steps;
      steps = 0;
      return counted;
    },
  };
}
