/** Where a value stands in a JSON text. */
export interface Span {
  readonly start: number;
  /** After the last character. */
  readonly end: number;
}

/** Where the value of a key begins, in the object that begins at or after `from` of a text that was parsed before; undefined when it has no such key. */
export function findValue(text: string, from: number, name: string): number | undefined {
  for (const member of membersOf(text, from)) {
    if (member.key === name) {
      return member.start;
    }
  }
  return undefined;
}

/** After the last character of the value that begins at `start`. */
export function endOfValue(text: string, start: number): number {
  let depth = 0;
  let at = start;
  do {
    const character = text.charAt(at);
    if (character === '"') {
      at = endOfString(text, at);
      continue;
    }
    if (OPENING.includes(character)) {
      depth++;
    } else if (CLOSING.includes(character)) {
      depth--;
    } else if (depth === 0) {
      return endOfLiteral(text, at);
    }
    at++;
  } while (depth > 0);
  return at;
}

/** The text with the values of some keys replaced, in the object that begins at or after `from`; keys that it lacks are added, all else stays as it was written. */
export function withMembers(text: string, from: number, changes: ReadonlyMap<string, string>): string {
  const spans: (Span & { readonly value: string })[] = [];
  const missing = new Map(changes);
  for (const { key, start } of membersOf(text, from)) {
    const value = missing.get(key);
    if (value !== undefined) {
      spans.push({ start, end: endOfValue(text, start), value });
      missing.delete(key);
    }
    if (missing.size === 0) {
      break;
    }
  }
  let result = '';
  let done = 0;
  if (missing.size > 0) {
    const first = skip(text, from) + 1;
    const added = [...missing].map(([key, value]) => `${JSON.stringify(key)}:${value}`).join(',');
    result = text.slice(0, first) + added + (text[skip(text, first)] === '}' ? '' : ',');
    done = first;
  }
  for (const { start, end, value } of spans) {
    result += text.slice(done, start) + value;
    done = end;
  }
  return result + text.slice(done);
}

const OPENING = '{[';
const CLOSING = '}]';
const BETWEEN = ' \t\r\n,:';

/** The members of an object with the place of each value; a value is passed over only when the next member is asked for. */
function* membersOf(text: string, from: number): Generator<{ readonly key: string; readonly start: number }> {
  let at = skip(text, skip(text, from) + 1);
  while (text[at] === '"') {
    const keyEnd = endOfString(text, at);
    const start = skip(text, keyEnd);
    // Parsed, because a key may be written with escapes.
    yield { key: JSON.parse(text.slice(at, keyEnd)) as string, start };
    at = skip(text, endOfValue(text, start));
  }
}

function skip(text: string, from: number): number {
  let at = from;
  while (at < text.length && BETWEEN.includes(text.charAt(at))) {
    at++;
  }
  return at;
}

function endOfLiteral(text: string, start: number): number {
  let at = start;
  while (at < text.length && !BETWEEN.includes(text.charAt(at)) && !CLOSING.includes(text.charAt(at))) {
    at++;
  }
  return at;
}

// indexOf is native, so long strings cost next to nothing.
function endOfString(text: string, start: number): number {
  let end = text.indexOf('"', start + 1);
  while (end !== -1 && isEscaped(text, end)) {
    end = text.indexOf('"', end + 1);
  }
  return end === -1 ? text.length : end + 1;
}

function isEscaped(text: string, at: number): boolean {
  let backslashes = 0;
  while (text[at - 1 - backslashes] === '\\') {
    backslashes++;
  }
  return backslashes % 2 === 1;
}
