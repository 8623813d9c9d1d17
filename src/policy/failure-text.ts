/** Longest text of what a check expected or found, in UTF-16 code units. */
const MAX_TEXT = 200;

/** The text, cut to what a failure may hold. What is half of a surrogate pair is replaced: not every store takes it. */
export function textOf(text: string): string {
  return text.length <= MAX_TEXT ? text.toWellFormed() : `${text.slice(0, MAX_TEXT - 1).toWellFormed()}…`;
}

/** A time span for people, such as `90 s`. */
export function spanText(milliseconds: number): string {
  return `${milliseconds / 1000} s`;
}
