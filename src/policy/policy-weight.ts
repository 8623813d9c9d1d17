import type { Policy, PolicyContent, RuleKind } from '../domain/policy.ts';
import { compileCondition } from './condition.ts';
import { sizeOfRegex } from './regex.ts';

/** What it takes to compile and keep a policy. */
export interface PolicyWeight {
  /** Length of what it says, as JSON. */
  readonly text: number;
  /** Length of its CEL expressions. */
  readonly expressions: number;
  /** Size of its regular expressions, as Matcher.size. */
  readonly regexes: number;
}

const nothing: PolicyWeight = { text: 0, expressions: 0, regexes: 0 };

/** Most versions whose weight is remembered. */
const MAX_REMEMBERED = 10_000;
const weights = new Map<string, PolicyWeight>();

/** Finds what a stored policy takes: nothing when it is OFF, since it is not compiled. A version never changes, so each is weighed once. */
export function weighPolicy({ id, version, content }: Policy): PolicyWeight {
  if (content.mode === 'off') return nothing;
  const key = `${id}/${version}`;
  const known = weights.get(key);
  if (known !== undefined) return known;
  const weight = weighContent(content);
  if (weights.size >= MAX_REMEMBERED) weights.clear();
  weights.set(key, weight);
  return weight;
}

/** Finds what such content takes. */
export function weighContent(content: PolicyContent): PolicyWeight {
  let expressions = 0;
  let regexes = 0;
  for (const { says } of content.rules) {
    if (says.kind === 'condition') expressions += says.expression.length;
    regexes += regexSizeOf(says);
  }
  return { text: JSON.stringify(content).length, expressions, regexes };
}

/** The sum of weights. */
export function addWeights(weights: readonly PolicyWeight[]): PolicyWeight {
  let [text, expressions, regexes] = [0, 0, 0];
  for (const weight of weights) {
    text += weight.text;
    expressions += weight.expressions;
    regexes += weight.regexes;
  }
  return { text, expressions, regexes };
}

function regexSizeOf(says: RuleKind): number {
  switch (says.kind) {
    case 'condition':
      return sizeOrNothing(() => compileCondition(says.expression).regexSize);
    case 'arguments': {
      let size = 0;
      for (const { type } of says.constraints) {
        if (type?.kind !== 'string') continue;
        for (const pattern of [type.regex, type.notRegex]) {
          if (pattern !== undefined) size += sizeOrNothing(() => sizeOfRegex(pattern));
        }
      }
      return size;
    }
    default:
      return 0;
  }
}

/** What cannot be compiled takes nothing, and is told by the check of its own policy. */
function sizeOrNothing(read: () => number): number {
  try {
    return read();
  } catch {
    return 0;
  }
}
