/** A decimal number: `coefficient` × 10^`exponent`. */
export interface Decimal {
  readonly coefficient: bigint;
  readonly exponent: number;
}

/** More digits than any double has, so that what comes after them only says whether there is more. */
const MAX_DIGITS = 800;

const numberParts = /^(?<sign>-?)(?<whole>\d+)(?:\.(?<fraction>\d+))?(?:[eE](?<exponent>[+-]?\d+))?$/;

/**
 * Reads the text of a JSON number. Of more than 800 digits the rest is kept as one digit, which compares with doubles as the whole would.
 *
 * @throws Error when the text is no JSON number
 */
export function parseDecimal(text: string): Decimal {
  const { sign, whole = '', fraction = '', exponent = '0' } = numberParts.exec(text)?.groups ?? {};
  if (whole === '') throw new Error('not the text of a JSON number');
  const digits = (whole + fraction).replace(/^0+/, '');
  const kept = digits.length > MAX_DIGITS ? shorten(digits) : digits;
  const coefficient = BigInt(kept || '0');
  return {
    coefficient: sign === '-' ? -coefficient : coefficient,
    exponent: Number(exponent) - fraction.length + (digits.length - kept.length),
  };
}

function shorten(digits: string): string {
  return digits.slice(0, MAX_DIGITS) + (/[1-9]/.test(digits.slice(MAX_DIGITS)) ? '1' : '0');
}

/** All digits of a finite double. */
export function exactDecimal(double: number): Decimal {
  let fractionBits = 0;
  let scaled = double;
  while (!Number.isInteger(scaled)) {
    // Doubling is exact: a double with a fraction is far from overflow.
    scaled *= 2;
    fractionBits++;
  }
  return { coefficient: BigInt(scaled) * 5n ** BigInt(fractionBits), exponent: -fractionBits };
}

/** Less than 0, 0 or more than 0 as `left` is less than, the same as, or more than `right`. */
export function compareDecimals(left: Decimal, right: Decimal): number {
  const signs = signOf(left) - signOf(right);
  if (signs !== 0 || left.coefficient === 0n) return signs;
  const magnitudes = (magnitudeOf(left) - magnitudeOf(right)) * signOf(left);
  if (magnitudes !== 0) return magnitudes;
  // Of the same magnitude, so the exponents differ by no more than there are digits.
  const exponent = Math.min(left.exponent, right.exponent);
  const difference = scale(left, exponent) - scale(right, exponent);
  return difference < 0n ? -1 : Number(difference > 0n);
}

function signOf({ coefficient }: Decimal): number {
  return coefficient < 0n ? -1 : Number(coefficient > 0n);
}

/** The power of ten of the first digit, which is not 0. */
function magnitudeOf({ coefficient, exponent }: Decimal): number {
  return coefficient.toString().replace('-', '').length + exponent;
}

function scale({ coefficient, exponent }: Decimal, to: number): bigint {
  return coefficient * 10n ** BigInt(exponent - to);
}
