import { hash } from 'node:crypto';
import type { CumulativeLimit } from '../domain/policy.ts';
import { createKeyRedaction, MASK } from '../domain/sensitive-keys.ts';
import { type ArgumentPath, describePlace, parsePath, visitValues } from './argument-path.ts';
import type { Budget } from './budget.ts';
import type { Evaluation } from './compiled-rule.ts';
import { describeValue } from './constraint-checks.ts';
import { textOf } from './failure-text.ts';
import { toFiniteNumber } from './number.ts';
import type { SessionLimit } from './session.ts';
import { SESSION_STATE_MS } from './state-subject.ts';

/** Limits of different paths; of several with the same path the lowest holds. */
export function createSumLimits(limits: readonly CumulativeLimit[]): SessionLimit[] {
  const byPath = Map.groupBy(limits, ({ path }) => path);
  return [...byPath].map(([path, same]) => createSumLimit(path, Math.min(...same.map(({ maximum }) => maximum))));
}

/** A limit on the sum of an argument over the allowed calls of a session. */
function createSumLimit(text: string, maximum: number): SessionLimit {
  const path = parsePath(text);
  return {
    use: {
      // Of the path only the hash: paths are long and hold any character.
      part: `sum.${hash('sha256', text, 'hex').slice(0, 16)}`,
      scope: 'session',
      next(state, { call, now }, budget) {
        // Infinity does not survive every store.
        const value = Math.min(plus(state?.value ?? 0, sumOf(path, call.arguments, budget).sum), Number.MAX_VALUE);
        return { value, keepsTime: false, expireTime: now + SESSION_STATE_MS };
      },
    },
    check(state, evaluation, budget) {
      const { sum, wrong } = sumOf(path, evaluation.call.arguments, budget);
      if (wrong !== undefined) {
        const actual = masks(path, evaluation) ? MASK : textOf(describeValue(wrong.value));
        return { path: textOf(wrong.path), check: 'type', expected: 'a finite number', actual };
      }
      const before = state?.value ?? 0;
      if (plus(before, sum) <= maximum) {
        return undefined;
      }
      return {
        path: path.text,
        check: 'cumulative_maximum',
        expected: `at most ${maximum} in a session`,
        actual: masks(path, evaluation) ? MASK : `${before} before and ${sum} now`,
      };
    },
  };
}

function masks({ segments }: ArgumentPath, { redactedKeys }: Evaluation): boolean {
  const isSensitive = createKeyRedaction(redactedKeys);
  return segments.some((segment) => typeof segment === 'string' && isSensitive(segment));
}

interface Sum {
  readonly sum: number;
  /** The first place where something else than a number is. */
  readonly wrong: { readonly path: string; readonly value: unknown } | undefined;
}

/** The sum of the positive numbers at the path. */
function sumOf(path: ArgumentPath, args: unknown, budget: Budget): Sum {
  let sum = 0;
  let lost = 0;
  let wrong: Sum['wrong'];
  visitValues(path, args, budget, (value, place, needs) => {
    const number = needs !== undefined ? undefined : value === undefined ? 0 : toFiniteNumber(value);
    if (number === undefined) {
      wrong ??= { path: describePlace(path, place), value };
    } else if (number > 0) {
      // What rounding loses of each addition is added in the end (Neumaier), so that the order of items does not matter.
      const next = sum + number;
      lost += sum >= number ? sum - next + number : number - next + sum;
      sum = next;
    }
    return true;
  });
  return { sum: Number.isFinite(sum) ? plus(sum, lost) : sum, wrong };
}

/** A sum of decimal fractions is rounded to the 15 digits that a double is good for: three times 0.1 is 0.3. */
function plus(one: number, other: number): number {
  const sum = one + other;
  const isExact = Number.isInteger(sum) || (sum - one === other && sum - other === one);
  return isExact ? sum : Number(sum.toPrecision(15));
}
