import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createBound, isJsonNumber, toFiniteNumber, toWholeNumber } from '../../src/policy/number.ts';

function compare(text: string, bound: number) {
  return createBound(bound)(JSON.rawJSON(text));
}

describe('a number is compared exactly with a bound', () => {
  test.each([
    ['9007199254740993', 9007199254740992, 1],
    ['9007199254740991', 9007199254740992, -1],
    ['9007199254740992', 9007199254740992, 0],
    ['9007199254740992.0', 9007199254740992, 0],
    ['90071992547409920e-1', 9007199254740992, 0],
    ['9007199254740992.0000000000001', 9007199254740992, 1],
    ['-9007199254740993', -9007199254740992, -1],
    ['0.1', 0.1, 0],
    ['1e-1', 0.1, 0],
    ['0.10000000000000000555', 0.1, 0],
    ['0.1000000000000000056', 0.1, 1],
    ['0.09999999999999999999', 0.1, -1],
    ['1180591620717411303424', 2 ** 70, 0],
    ['1.1805916207174113e21', 2 ** 70, 0],
    ['1180591620717411303425', 2 ** 70, 1],
    ['1e23', 1e23, 0],
    ['100000000000000000000001', 1e23, 1],
    ['0.0', 0, 0],
    ['-0', 0, 0],
    ['1e-400', 0, 1],
    ['-1e-400', 0, -1],
    ['0e99999', 0, 0],
    ['1e-999999999', 0, 1],
    ['5e-324', Number.MIN_VALUE, 0],
    ['1.7976931348623157e308', Number.MAX_VALUE, 0],
    [`1${'0'.repeat(2000)}e-2000`, 1, 0],
    [`1.${'0'.repeat(2000)}1`, 1, 1],
    [`0.${'9'.repeat(2000)}`, 1, -1],
  ])('%s and %s', (text, bound, order) => {
    expect(compare(text, bound)).toBe(order);
  });
});

test('what is too large for a double, and what is no number, compares with nothing', () => {
  expect(compare('1e999', 1)).toBeUndefined();
  expect(compare('-1e999', 1)).toBeUndefined();
  expect(createBound(1)(Number.NaN)).toBeUndefined();
  expect(createBound(1)(Number.POSITIVE_INFINITY)).toBeUndefined();
});

test('the text of a double compares as the double does', () => {
  const double = fc.double({ noNaN: true, noDefaultInfinity: true });
  fc.assert(
    fc.property(double, double, (value, bound) => {
      expect(compare(JSON.stringify(value), bound)).toBe(createBound(bound)(value));
      expect(compare(JSON.stringify(value), value)).toBe(0);
    }),
    { numRuns: 5000 },
  );
});

test('whole numbers compare as whole numbers, however long', () => {
  const whole = fc.bigInt({ min: -(10n ** 25n), max: 10n ** 25n });
  const distance = fc.bigInt({ min: -(10n ** 9n), max: 10n ** 9n });
  fc.assert(
    fc.property(whole, distance, (near, away) => {
      const bound = Number(near);
      // Between the exact value of a double and the text people write for it, all counts as the same.
      const [low, high] = inOrder(BigInt(bound), toWholeNumber(String(bound)) ?? 0n);
      const value = BigInt(bound) + away;

      expect(compare(String(value), bound)).toBe(value < low ? -1 : Number(value > high));
    }),
    { numRuns: 5000 },
  );
});

function inOrder(one: bigint, other: bigint): [bigint, bigint] {
  return one < other ? [one, other] : [other, one];
}

test('a comparison with a text of 60,000 digits takes milliseconds', () => {
  const compareWithOne = createBound(1);
  const value = JSON.rawJSON(`0.${'9'.repeat(60_000)}`);
  const start = performance.now();

  for (let run = 0; run < 100; run++) compareWithOne(value);

  expect(performance.now() - start).toBeLessThan(1000);
});

test('only numbers are numbers', () => {
  expect([1, -0.5, Number.NaN, JSON.rawJSON('1e999')].map(isJsonNumber)).toEqual([true, true, true, true]);
  expect(['1', null, undefined, true, {}, [1], 1n, JSON.rawJSON('"1"'), JSON.rawJSON('true')].some(isJsonNumber)).toBe(
    false,
  );
});

test('sums take finite numbers only', () => {
  expect(toFiniteNumber(1.5)).toBe(1.5);
  expect(toFiniteNumber(JSON.rawJSON('9007199254740993'))).toBe(9007199254740992);
  expect(toFiniteNumber(JSON.rawJSON('1e999'))).toBeUndefined();
  expect([Number.NaN, Number.NEGATIVE_INFINITY, '1', null, undefined].map(toFiniteNumber)).toEqual(
    Array.from({ length: 5 }),
  );
});

test('whole numbers are read exactly', () => {
  expect(toWholeNumber('9007199254740993')).toBe(9007199254740993n);
  expect(toWholeNumber('9007199254740993.0')).toBe(9007199254740993n);
  expect(toWholeNumber('90071992547409930e-1')).toBe(9007199254740993n);
  expect(toWholeNumber('1e20')).toBe(100000000000000000000n);
  expect(toWholeNumber('0.5')).toBeUndefined();
  expect(toWholeNumber('1e999999999')).toBeUndefined();
  expect(toWholeNumber('1e-999999999')).toBeUndefined();
});
