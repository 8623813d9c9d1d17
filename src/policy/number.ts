import { compareDecimals, type Decimal, exactDecimal, parseDecimal } from './decimal.ts';

/** A number of a JSON text: a double, or its text where a double may not hold it (JSON.rawJSON). */
export type JsonNumber = number | { readonly rawJSON: string };

const numberText = /^-?\d/;

/** True for what {@link JsonNumber} describes. */
export function isJsonNumber(value: unknown): value is JsonNumber {
  return typeof value === 'number' || (JSON.isRawJSON(value) && numberText.test(value.rawJSON));
}

/** The number as a double, for sums; undefined for what is no number, for NaN, and for what no double is large enough for. */
export function toFiniteNumber(value: unknown): number | undefined {
  if (!isJsonNumber(value)) return undefined;
  const double = typeof value === 'number' ? value : Number(value.rawJSON);
  return Number.isFinite(double) ? double : undefined;
}

/** The number as its JSON text; NaN and infinity, which JSON can't write, as words. */
export function writeNumber(value: JsonNumber): string {
  return typeof value === 'number' ? String(value) : value.rawJSON;
}

/** Tells whether a number is less than a bound (-1), the same (0) or more (1); undefined when it is not finite. */
export type CompareToBound = (value: JsonNumber) => -1 | 0 | 1 | undefined;

/**
 * Makes an exact comparison with a bound. Every decimal between the exact value of the double and the shortest text that people write for it
 * counts as the same: a bound of 0.1 is met by the text 0.1, and one of 2^70 by all of its digits.
 */
export function createBound(bound: number): CompareToBound {
  let range: readonly [Decimal, Decimal] | undefined;
  return (value) => {
    const double = typeof value === 'number' ? value : Number(value.rawJSON);
    if (!Number.isFinite(double)) return undefined;
    if (double !== bound) return double < bound ? -1 : 1;
    if (typeof value === 'number') return 0;
    // Rounding keeps the order, so only a text that rounds to the bound itself has to be looked at closely.
    range ??= rangeOf(bound);
    const decimal = parseDecimal(value.rawJSON);
    if (compareDecimals(decimal, range[0]) < 0) return -1;
    return compareDecimals(decimal, range[1]) > 0 ? 1 : 0;
  };
}

function rangeOf(bound: number): readonly [Decimal, Decimal] {
  const exact = exactDecimal(bound);
  const written = parseDecimal(String(bound));
  return compareDecimals(exact, written) <= 0 ? [exact, written] : [written, exact];
}

/** Longest whole number that is kept exactly where a double cannot hold it, in digits. */
const MAX_WHOLE_DIGITS = 800;

/** The whole number that a JSON text stands for; undefined when it has a fraction, or is longer than any double. */
export function toWholeNumber(text: string): bigint | undefined {
  const { coefficient, exponent } = parseDecimal(text);
  if (exponent >= 0) return exponent <= MAX_WHOLE_DIGITS ? coefficient * 10n ** BigInt(exponent) : undefined;
  if (-exponent > MAX_WHOLE_DIGITS) return undefined;
  const unit = 10n ** BigInt(-exponent);
  return coefficient % unit === 0n ? coefficient / unit : undefined;
}
