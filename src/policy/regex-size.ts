/** What a Unicode class such as `\pL` takes. */
const UNICODE_CLASS = 300;
/** Characters of a range that are as much as one instruction, when their case is ignored: each is looked up. */
const FOLDED = 4;
/** The last character that has a case, but for a few: ranges end there when case is ignored. */
const LAST_FOLDED = 0x1ffff;

const ignoresCase = /\(\?[A-Za-z]*i/;
// What ends one range may begin the next, as far as can be told without reading the whole expression.
const range = /(\\x\{[0-9A-Fa-f]+\}|\\?.)-(?=(\\x\{[0-9A-Fa-f]+\}|\\?.))/gsu;

/** What it takes to read the character classes of a pattern, in instructions of a program; known before it is compiled. */
export function sizeOfClasses(pattern: string): number {
  const classes = (pattern.match(/\\[pP]/g)?.length ?? 0) * UNICODE_CLASS;
  return ignoresCase.test(pattern) ? classes + sizeOfRanges(pattern) : classes;
}

function sizeOfRanges(pattern: string): number {
  let size = 0;
  for (const [, first = '', last = ''] of pattern.matchAll(range)) {
    size += Math.max(0, Math.min(codePointOf(last), LAST_FOLDED) - codePointOf(first)) / FOLDED;
  }
  return Math.ceil(size);
}

function codePointOf(written: string): number {
  const [, digits] = /^\\x\{(.+)\}$/.exec(written) ?? [];
  return digits === undefined
    ? (written.codePointAt(written.length > 1 && written[0] === '\\' ? 1 : 0) ?? 0)
    : Number.parseInt(digits, 16);
}
