const BACKSLASH = 0x5c;

/** After the closing quote of the string that begins at `start` of a JSON text; the end of the text when there is none. */
export function endOfString(text: string, start: number): number {
  // indexOf is native, so long strings cost next to nothing.
  let end = text.indexOf('"', start + 1);
  while (end !== -1 && isEscaped(text, end)) {
    end = text.indexOf('"', end + 1);
  }
  return end === -1 ? text.length : end + 1;
}

function isEscaped(text: string, at: number): boolean {
  let backslashes = 0;
  while (text.charCodeAt(at - 1 - backslashes) === BACKSLASH) {
    backslashes++;
  }
  return backslashes % 2 === 1;
}
