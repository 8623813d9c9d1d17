import { type CelFunc, CelScalar, celFunc, celMethod } from '@bufbuild/cel';
import type { CostMeter } from './condition-cost.ts';
import { tooExpensive } from './condition-cost.ts';
import type { Matcher } from './regex.ts';
import { countCharacters } from './text-length.ts';

const { BOOL, BYTES, INT, STRING } = CelScalar;

/** The functions over strings and bytes, with their cost counted. */
export function createTextFunctions(
  meter: CostMeter,
  findMatcher: (pattern: string) => Matcher | undefined,
): CelFunc[] {
  const { spend, spendOnText } = meter;
  const size = (text: string) => {
    spendOnText(text.length);
    return BigInt(countCharacters(text));
  };
  return [
    ...createOrder(meter),
    ...createSearches(meter),
    celFunc('size', [STRING], INT, size),
    celMethod('size', STRING, [], INT, function () {
      return size(this);
    }),
    celFunc('_+_', [STRING, STRING], STRING, (left, right) => {
      spendOnText(left.length + right.length);
      return left + right;
    }),
    celFunc('_+_', [BYTES, BYTES], BYTES, (left, right) => {
      spendOnText(left.length + right.length);
      return Buffer.concat([left, right]);
    }),
    celMethod('matches', STRING, [STRING], BOOL, function (pattern) {
      const found = findMatcher(pattern)?.(this, meter.budget());
      spend(1);
      if (found === undefined) throw tooExpensive();
      return found;
    }),
  ];
}

function createOrder({ spendOnText }: CostMeter): CelFunc[] {
  const operators: readonly (readonly [string, (order: number) => boolean])[] = [
    ['_<_', (order) => order < 0],
    ['_<=_', (order) => order <= 0],
    ['_>_', (order) => order > 0],
    ['_>=_', (order) => order >= 0],
  ];
  return operators.flatMap(([name, accepts]) => [
    celFunc(name, [STRING, STRING], BOOL, (left, right) => {
      spendOnText(Math.min(left.length, right.length));
      return accepts(left < right ? -1 : Number(left > right));
    }),
    celFunc(name, [BYTES, BYTES], BOOL, (left, right) => {
      spendOnText(Math.min(left.length, right.length));
      return accepts(Buffer.compare(left, right));
    }),
  ]);
}

function createSearches({ spendOnText }: CostMeter): CelFunc[] {
  return [
    celMethod('startsWith', STRING, [STRING], BOOL, function (start) {
      spendOnText(start.length);
      return this.startsWith(start);
    }),
    celMethod('endsWith', STRING, [STRING], BOOL, function (end) {
      spendOnText(end.length);
      return this.endsWith(end);
    }),
    celMethod('contains', STRING, [STRING], BOOL, function (part) {
      spendOnText(this.length + part.length);
      return this.includes(part);
    }),
  ];
}
