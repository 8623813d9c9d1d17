import { endOfString } from '../domain/json-string.ts';

/** A JSON object as parsed; whole numbers beyond 2^53 may be `JSON.rawJSON` objects that print as they were written. */
export type JsonObject = Readonly<Record<string, unknown>>;

/** Deepest nesting of arrays and objects in a message of an upstream: JSON.parse reads any depth, but whatever recurses over it overflows the stack. */
export const MAX_DEPTH = 1000;

/**
 * The JSON-RPC messages in one text of an upstream: one, or several for a batch (revision 2025-03-26); none when the text is
 * not JSON, is nested too deeply, or holds anything but objects.
 */
export function parseMessages(text: string): readonly JsonObject[] {
  if (isTooDeep(text)) {
    return [];
  }
  try {
    const value: unknown = hasLongNumber(text) ? JSON.parse(text, keepLongNumber) : JSON.parse(text);
    const messages = Array.isArray(value) ? value : [value];
    return messages.every(isObject) ? messages : [];
  } catch {
    return [];
  }
}

/** True for a JSON object, which arrays, null and numbers that were kept as written are not. */
export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !JSON.isRawJSON(value);
}

/** A text in a message; empty when it is something else. */
export function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

/** `params` of a message; empty when it has none. */
export function paramsOf(message: JsonObject): JsonObject {
  return isObject(message['params']) ? message['params'] : {};
}

/** `_meta` of params or of a result; empty when there is none. */
export function metaOf(holder: JsonObject): JsonObject {
  return isObject(holder['_meta']) ? holder['_meta'] : {};
}

/** A copy of params or of a result with one key of its `_meta` replaced; the order of keys stays. */
export function withMeta(holder: JsonObject, key: string, value: unknown): JsonObject {
  return { ...holder, _meta: { ...metaOf(holder), [key]: value } };
}

/** A JSON-RPC error answer. */
export function errorAnswer(id: unknown, code: number, message: string): JsonObject {
  return { jsonrpc: '2.0', id, error: { code, message } };
}

function hasLongNumber(text: string): boolean {
  return /\d{16}/.test(text);
}

/** Ids of 64 bits are common in tools' answers; as doubles they would come out changed. */
function keepLongNumber(_key: string, value: unknown, context?: { source?: string }): unknown {
  const isInexact = typeof value === 'number' && Number.isInteger(value) && !Number.isSafeInteger(value);
  return isInexact && context?.source !== undefined ? JSON.rawJSON(context.source) : value;
}

const QUOTE = 0x22;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;

function isTooDeep(text: string): boolean {
  let depth = 0;
  // What opens has to be closed again, so most texts are too short to look at.
  for (let at = text.length > 2 * MAX_DEPTH ? 0 : text.length; at < text.length && depth <= MAX_DEPTH; at++) {
    const code = text.charCodeAt(at);
    if (code === QUOTE) {
      at = endOfString(text, at) - 1;
    } else if (code === OPEN_BRACE || code === OPEN_BRACKET) {
      depth++;
    } else if (code === CLOSE_BRACE || code === CLOSE_BRACKET) {
      depth--;
    }
  }
  return depth > MAX_DEPTH;
}
