import { RE2JS } from '@bufbuild/re2';
import { GatewayError } from '../domain/errors.ts';
import { type Automaton, createAutomaton } from './regex-automaton.ts';
import type { Program } from './regex-program.ts';
import { sizeOfClasses } from './regex-size.ts';

/** Tells whether a regular expression matches somewhere in a text; undefined when that takes too long to find out. */
export interface Matcher extends Automaton {
  /** What it takes to compile the expression, in instructions of its program; one is some 300 ns and a few hundred bytes. */
  readonly size: number;
}

/** Longest pattern, in UTF-16 code units. */
const MAX_PATTERN = 256;
/** Most instructions that a pattern is compiled to. */
const MAX_PROGRAM = 2500;
/** Largest size of a pattern's character classes. */
const MAX_CLASSES = 10_000;
/** What a pattern takes besides. */
const BASE_SIZE = 10;

/**
 * Compiles an RE2 expression. @bufbuild/re2 parses it; the matching is this module's own, because the package's looks at the instructions
 * for every character when there is an anchor, keeps what it learns without a limit, and falls back to a slow simulation.
 *
 * `count` is told what it took to compile the expression, even if that is then too large.
 *
 * @throws GatewayError `validation_failed`, or what `count` throws
 */
export function compileRegex(pattern: string, count?: (size: number) => void): Matcher {
  if (pattern.length > MAX_PATTERN) throw invalid(`is longer than ${MAX_PATTERN} characters`);
  const classes = sizeOfClasses(pattern);
  if (classes > MAX_CLASSES) throw invalid('is too large, because it ignores the case of too many characters');
  const program = compileProgram(pattern);
  const instructions = program.numInst();
  const size = BASE_SIZE + instructions + classes;
  count?.(size);
  if (instructions > MAX_PROGRAM) throw invalid('is too large, because its repetitions multiply');
  if (sizes.size >= MAX_SIZES) sizes.clear();
  sizes.set(pattern, size);
  return Object.assign(createAutomaton(program), { size });
}

/** Most patterns whose size is remembered. */
const MAX_SIZES = 20_000;
const sizes = new Map<string, number>();

/**
 * The size of a pattern, as {@link Matcher.size}; compiles it when that was not done before.
 *
 * @throws GatewayError `validation_failed`
 */
export function sizeOfRegex(pattern: string): number {
  return sizes.get(pattern) ?? compileRegex(pattern).size;
}

function compileProgram(pattern: string): Program {
  try {
    return RE2JS.compile(pattern).re2().prog;
  } catch (error) {
    const message = error instanceof Error ? error.message : '';
    throw invalid(`is no RE2 expression: ${message.replace('error parsing regexp: ', '')}`);
  }
}

function invalid(what: string): GatewayError {
  return new GatewayError('validation_failed', `the regular expression ${what}`);
}
