/** The number of Unicode code points; an unpaired surrogate counts as one. */
export function countCharacters(text: string): number {
  let count = text.length;
  for (let at = 0; at + 1 < text.length; at++) {
    if (isHigh(text.charCodeAt(at)) && isLow(text.charCodeAt(at + 1))) {
      count--;
      at++;
    }
  }
  return count;
}

/** True when the text has at least so many code points. */
export function hasCharacters(text: string, count: number): boolean {
  // A code point takes two code units at most.
  return text.length >= 2 * count || (text.length >= count && countCharacters(text) >= count);
}

function isHigh(unit: number): boolean {
  return unit >= 0xd800 && unit <= 0xdbff;
}

function isLow(unit: number): boolean {
  return unit >= 0xdc00 && unit <= 0xdfff;
}
