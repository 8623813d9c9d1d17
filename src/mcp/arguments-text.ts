/**
 * The text of `params.arguments` as the client wrote it, in a JSON-RPC message that was parsed before; undefined when there is none.
 * It stays the same when the same call is sent again, unlike the id and what else may stand in the message.
 */
export function argumentsText(message: string): string | undefined {
  const params = findMember(message, 0, 'params');
  const args = params === undefined ? undefined : findMember(message, params.start, 'arguments');
  return args === undefined ? undefined : message.slice(args.start, args.end);
}

interface Span {
  readonly start: number;
  /** After the last character. */
  readonly end: number;
}

const OPENING = '{[';
const CLOSING = '}]';
const BETWEEN = ' \t\r\n,:';

/** Where the value of a key stands, in the object that begins at or after `from`; undefined when it has no such key. */
function findMember(text: string, from: number, name: string): Span | undefined {
  let at = skip(text, skip(text, from) + 1);
  while (text[at] === '"') {
    const keyEnd = endOfString(text, at);
    const start = skip(text, keyEnd);
    const end = endOfValue(text, start);
    // Parsed, because a key may be written with escapes.
    if (JSON.parse(text.slice(at, keyEnd)) === name) {
      return { start, end };
    }
    at = skip(text, end);
  }
  return undefined;
}

function skip(text: string, from: number): number {
  let at = from;
  while (at < text.length && BETWEEN.includes(text.charAt(at))) {
    at++;
  }
  return at;
}

function endOfValue(text: string, start: number): number {
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

function endOfLiteral(text: string, start: number): number {
  let at = start;
  while (at < text.length && !BETWEEN.includes(text.charAt(at)) && !CLOSING.includes(text.charAt(at))) {
    at++;
  }
  return at;
}

function endOfString(text: string, start: number): number {
  let at = start + 1;
  while (at < text.length && text[at] !== '"') {
    at += text[at] === '\\' ? 2 : 1;
  }
  return at + 1;
}
