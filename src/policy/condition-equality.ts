import { type CelList, type CelMap, type CelValue, celEnv, isCelList, isCelMap } from '@bufbuild/cel';
import type { CostMeter } from './condition-cost.ts';

/** The equality of CEL, with its cost counted: lists and maps are compared item by item. */
export function createEquality({ spend, spendOnText }: CostMeter): (left: CelValue, right: CelValue) => boolean {
  const standard = celEnv().funcs.find('_==_');

  function equals(left: CelValue, right: CelValue): boolean {
    if (typeof left === 'string') {
      if (typeof right !== 'string') return spendOnce(false);
      spendOnText(left.length === right.length ? left.length : 0);
      return left === right;
    }
    if (isCelList(left)) return spendOnce(isCelList(right) && equalLists(left, right));
    if (isCelMap(left)) return spendOnce(isCelMap(right) && equalMaps(left, right));
    return spendOnce(standard?.call(0, undefined, [left, right]) === true);
  }

  function spendOnce(answer: boolean): boolean {
    spend(1);
    return answer;
  }

  function equalLists(left: CelList, right: CelList): boolean {
    if (left.size !== right.size) return false;
    for (let index = 0; index < left.size; index++) {
      const item = left.get(index);
      const other = right.get(index);
      if (item === undefined || other === undefined || !equals(item, other)) return false;
    }
    return true;
  }

  function equalMaps(left: CelMap, right: CelMap): boolean {
    if (left.size !== right.size) return false;
    for (const [key, value] of left) {
      const other = right.get(key);
      if (other === undefined || !equals(value, other)) return false;
    }
    return true;
  }

  return equals;
}
