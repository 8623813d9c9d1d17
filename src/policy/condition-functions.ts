import { type CelFunc, CelScalar, celFunc, isCelList, isCelMap, listType } from '@bufbuild/cel';
import { createConversions } from './condition-conversions.ts';
import type { CostMeter } from './condition-cost.ts';
import { createEquality } from './condition-equality.ts';
import { createTextFunctions } from './condition-text.ts';
import { createTimeFunctions } from './condition-time.ts';
import { concatLists } from './condition-values.ts';
import type { Matcher } from './regex.ts';

/** Called with the range of a comprehension before its first item. */
export const RANGE = '@range';
/** Called with the condition of a comprehension, and what one item costs, before each item. */
export const ITEM = '@item';

const { BOOL, DYN, INT } = CelScalar;
const LIST = listType(DYN);

/**
 * The functions that replace those of the package: where the cost grows with the input it is counted, clocks do not depend on the time
 * zone of the process, and conversions do not take for a number what is none. `findMatcher` has the compiled regular expressions.
 */
export function createConditionFunctions(
  meter: CostMeter,
  findMatcher: (pattern: string) => Matcher | undefined,
): CelFunc[] {
  return [
    ...createLoopFunctions(meter),
    ...createEqualityFunctions(meter),
    ...createTextFunctions(meter, findMatcher),
    ...createConversions(meter),
    ...createTimeFunctions(),
  ];
}

function createLoopFunctions({ spend }: CostMeter): CelFunc[] {
  return [
    celFunc(RANGE, [DYN], DYN, (range) => {
      if (isCelList(range) || isCelMap(range)) spend(range.size / 2);
      return range;
    }),
    celFunc(ITEM, [BOOL, INT], BOOL, (goesOn, cost) => {
      spend(Number(cost));
      return goesOn;
    }),
    celFunc('_+_', [LIST, LIST], LIST, (left, right) => concatLists(left, right, (items) => spend(1 + items / 4))),
  ];
}

function createEqualityFunctions(meter: CostMeter): CelFunc[] {
  const equals = createEquality(meter);
  return [
    celFunc('_==_', [DYN, DYN], BOOL, equals),
    celFunc('_!=_', [DYN, DYN], BOOL, (left, right) => !equals(left, right)),
    celFunc('@in', [DYN, LIST], BOOL, (value, list) => {
      for (const item of list) if (equals(item, value)) return true;
      return false;
    }),
  ];
}
