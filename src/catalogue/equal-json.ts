import { isObject } from '../upstream/message.ts';

/** Values that are nested deeper are equal to none, not even to themselves. */
const MAX_DEPTH = 64;

/** True for JSON values that mean the same; the order of keys does not count. */
export function isEqualJson(one: unknown, other: unknown, depth = MAX_DEPTH): boolean {
  if (depth === 0) {
    return false;
  }
  if (Array.isArray(one) && Array.isArray(other)) {
    return one.length === other.length && one.every((item, at) => isEqualJson(item, other[at], depth - 1));
  }
  if (JSON.isRawJSON(one) && JSON.isRawJSON(other)) {
    return one.rawJSON === other.rawJSON;
  }
  if (isObject(one) && isObject(other)) {
    const keys = Object.keys(one);
    return (
      keys.length === Object.keys(other).length &&
      keys.every((key) => Object.hasOwn(other, key) && isEqualJson(one[key], other[key], depth - 1))
    );
  }
  return one === other;
}
