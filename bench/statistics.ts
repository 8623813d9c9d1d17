/** The middle of several measurements and how far they lie apart. */
export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

/** Median, smallest and largest of at least one number. */
export function spreadOf(values: readonly number[]): Spread {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle];
  const lower = sorted.length % 2 === 0 ? sorted[middle - 1] : upper;
  if (upper === undefined || lower === undefined) throw new Error('a spread needs at least one value');
  return { median: (lower + upper) / 2, min: sorted[0] ?? upper, max: sorted.at(-1) ?? upper };
}

/** The value below which `share` (0 to 1) of the samples lie; `sorted` is in ascending order and not empty. */
export function percentileOf(sorted: ArrayLike<number>, share: number): number {
  const index = Math.min(sorted.length - 1, Math.ceil(share * sorted.length) - 1);
  const value = sorted[Math.max(0, index)];
  if (value === undefined) throw new Error('a percentile needs at least one sample');
  return value;
}

/** Quotients of the measurements of the same round. */
export function ratiosOf(values: readonly number[], base: readonly number[]): number[] {
  return values.map((value, round) => value / (base[round] ?? Number.NaN));
}

/** `12.3 (11.9–12.8)`. */
export function formatSpread(spread: Spread, digits = 0): string {
  const text = (value: number) => formatNumber(value, digits);
  return `${text(spread.median)} (${text(spread.min)}–${text(spread.max)})`;
}

/** With thousands separators and a fixed number of decimals. */
export function formatNumber(value: number, digits = 0): string {
  return value.toLocaleString('en-US', { minimumFractionDigits: digits, maximumFractionDigits: digits });
}
