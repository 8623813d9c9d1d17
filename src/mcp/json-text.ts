import { endOfString } from '../domain/json-string.ts';

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
    const code = text.charCodeAt(at);
    if (code === QUOTE) {
      at = endOfString(text, at);
      continue;
    }
    if (code === OPEN_BRACE || code === OPEN_BRACKET) {
      depth++;
    } else if (code === CLOSE_BRACE || code === CLOSE_BRACKET) {
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
  const spans: (Span & { readonly key: string })[] = [];
  for (const { key, start } of membersOf(text, from)) {
    if (changes.has(key)) {
      spans.push({ key, start, end: endOfValue(text, start) });
    }
    if (spans.length === changes.size) {
      break;
    }
  }
  let result = '';
  let done = 0;
  if (spans.length < changes.size) {
    done = skip(text, from) + 1;
    result = text.slice(0, done) + addedMembers(changes, spans) + (text[skip(text, done)] === '}' ? '' : ',');
  }
  for (const { key, start, end } of spans) {
    result += text.slice(done, start) + changes.get(key);
    done = end;
  }
  return result + text.slice(done);
}

function addedMembers(changes: ReadonlyMap<string, string>, replaced: readonly { readonly key: string }[]): string {
  const added = [...changes].filter(([name]) => !replaced.some(({ key }) => key === name));
  return added.map(([name, value]) => `${JSON.stringify(name)}:${value}`).join(',');
}

const QUOTE = 0x22;
const COMMA = 0x2c;
const COLON = 0x3a;
const SPACE = 0x20;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;

/** The members of an object with the place of each value; a value is passed over only when the next member is asked for. */
function* membersOf(text: string, from: number): Generator<{ readonly key: string; readonly start: number }> {
  let at = skip(text, skip(text, from) + 1);
  while (text.charCodeAt(at) === QUOTE) {
    const keyEnd = endOfString(text, at);
    const start = skip(text, keyEnd);
    yield { key: keyIn(text.slice(at, keyEnd)), start };
    at = skip(text, endOfValue(text, start));
  }
}

/** A key as it is meant: it may be written with escapes. */
function keyIn(written: string): string {
  return written.includes('\\') ? (JSON.parse(written) as string) : written.slice(1, -1);
}

function skip(text: string, from: number): number {
  let at = from;
  while (isBetween(text.charCodeAt(at))) {
    at++;
  }
  return at;
}

/** True for what stands between tokens: blanks (all of them are at most a space), commas and colons. */
function isBetween(code: number): boolean {
  return code <= SPACE || code === COMMA || code === COLON;
}

function endOfLiteral(text: string, start: number): number {
  let at = start;
  let code = text.charCodeAt(at);
  while (at < text.length && !isBetween(code) && code !== CLOSE_BRACE && code !== CLOSE_BRACKET) {
    code = text.charCodeAt(++at);
  }
  return at;
}
