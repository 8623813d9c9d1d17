import { isUtf8 } from 'node:buffer';
import { KNOWN_METHODS } from './known-methods.ts';

/** The id of a JSON-RPC request as MCP allows it: never null. */
export type JsonRpcId = string | number;

export type JsonObject = Readonly<Record<string, unknown>>;

/** One JSON-RPC 2.0 message of a client, checked as far as the gateway relies on it. */
export interface ClientMessage {
  readonly kind: 'request' | 'notification' | 'response';
  readonly id: JsonRpcId | undefined;
  /** Empty for a response. */
  readonly method: string;
  readonly params: JsonObject | undefined;
  /** The parsed message; only for what must be rewritten, the original bytes are forwarded otherwise. */
  readonly value: JsonObject;
  readonly text: string;
}

/** A message that is not what JSON-RPC and MCP allow; answered with this code and the id, if one could be read. */
export class InvalidMessageError extends Error {
  override readonly name = 'InvalidMessageError';
  readonly code: -32700 | -32600 | -32602 | -32020;
  readonly id: JsonRpcId | null;

  constructor(code: InvalidMessageError['code'], message: string, id: JsonRpcId | null = null) {
    super(message);
    this.code = code;
    this.id = id;
  }
}

/** Deepest nesting of arrays and objects in a message. */
export const MAX_DEPTH = 200;
/** Longest method, in UTF-16 code units; it is recorded. */
const MAX_METHOD = 128;

/**
 * Parses and checks the body of a POST. Refuses what two parsers could read differently, because the upstream must see the call
 * that was decided: a key that occurs twice in an object, and keys of the envelope that differ from the standard ones by case only.
 *
 * @throws InvalidMessageError
 */
export function parseMessage(body: Buffer): ClientMessage {
  const { depth, keys } = scan(body);
  if (depth > MAX_DEPTH) {
    throw new InvalidMessageError(-32600, `the message is nested deeper than ${MAX_DEPTH} levels`);
  }
  const text = decode(body);
  const value = parseStrict(text);
  if (Array.isArray(value)) {
    throw new InvalidMessageError(-32600, 'batches are not part of MCP: send one JSON-RPC message per request');
  }
  if (value === null || typeof value !== 'object') {
    throw new InvalidMessageError(-32600, 'the body must be one JSON-RPC message, an object');
  }
  const message = value as JsonObject;
  const id = readId(message);
  if (keys !== countKeys(value)) {
    throw new InvalidMessageError(-32600, 'an object in the message holds the same key twice', id ?? null);
  }
  if (message['jsonrpc'] !== '2.0') {
    throw new InvalidMessageError(-32600, `'jsonrpc' must be "2.0"`, id ?? null);
  }
  refuseLookalikes(message, envelopeKeys, id);
  const method = message['method'];
  if (method === undefined) {
    return readResponse(message, id, text);
  }
  if (typeof method !== 'string' || message['result'] !== undefined || message['error'] !== undefined) {
    throw new InvalidMessageError(
      -32600,
      `a request has a 'method', a string, and neither 'result' nor 'error'`,
      id ?? null,
    );
  }
  if (method.length > MAX_METHOD) {
    throw new InvalidMessageError(-32600, `'method' is longer than ${MAX_METHOD} characters`, id ?? null);
  }
  const likeness = findLikeness(method);
  if (likeness !== undefined) {
    throw new InvalidMessageError(-32600, `the method '${method}' must be written '${likeness}'`, id ?? null);
  }
  if (id === undefined && !method.startsWith('notifications/')) {
    throw new InvalidMessageError(
      -32600,
      `'${method}' is a request and needs an 'id'; only 'notifications/…' go without`,
    );
  }
  const kind = id === undefined ? 'notification' : 'request';
  return { kind, id, method, params: readParams(message, id), value: message, text };
}

function decode(body: Buffer): string {
  if (!isUtf8(body)) {
    throw new InvalidMessageError(-32700, 'the body is not valid UTF-8');
  }
  return body.toString('utf8');
}

function parseStrict(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new InvalidMessageError(
      -32700,
      `the body is not valid JSON: ${error instanceof Error ? error.message : 'cannot be parsed'}`,
    );
  }
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COLON = 0x3a;

/** One pass over the bytes: the deepest nesting, and how many keys are written (colons outside strings). */
function scan(body: Buffer): { depth: number; keys: number } {
  let depth = 0;
  let deepest = 0;
  let keys = 0;
  for (let at = 0; at < body.length; at++) {
    const byte = body[at];
    if (byte === QUOTE) {
      at = endOfString(body, at);
    } else if (byte === COLON) {
      keys++;
    } else if (byte === 0x7b || byte === 0x5b) {
      deepest = Math.max(deepest, ++depth);
    } else if (byte === 0x7d || byte === 0x5d) {
      depth--;
    }
  }
  return { depth: deepest, keys };
}

// indexOf is native, so long strings cost next to nothing.
function endOfString(body: Buffer, start: number): number {
  let end = body.indexOf(QUOTE, start + 1);
  while (end !== -1 && isEscaped(body, end)) {
    end = body.indexOf(QUOTE, end + 1);
  }
  return end === -1 ? body.length : end;
}

function isEscaped(body: Buffer, at: number): boolean {
  let backslashes = 0;
  while (body[at - 1 - backslashes] === BACKSLASH) {
    backslashes++;
  }
  return backslashes % 2 === 1;
}

function countKeys(value: unknown): number {
  if (value === null || typeof value !== 'object') {
    return 0;
  }
  let count = 0;
  if (Array.isArray(value)) {
    for (const item of value) {
      count += countKeys(item);
    }
    return count;
  }
  for (const key in value) {
    count += 1 + countKeys((value as JsonObject)[key]);
  }
  return count;
}

const envelopeKeys: ReadonlySet<string> = new Set(['jsonrpc', 'id', 'method', 'params', 'result', 'error']);
const paramKeys: ReadonlySet<string> = new Set(['name', 'arguments', 'uri', '_meta']);

/** Some JSON libraries match keys regardless of case: to them `"Name"` after `"name"` is the name. */
function refuseLookalikes(object: JsonObject, known: ReadonlySet<string>, id: JsonRpcId | undefined): void {
  for (const key in object) {
    if (!known.has(key) && known.has(foldCase(key))) {
      throw new InvalidMessageError(-32600, `'${key}' must be written '${foldCase(key)}'`, id ?? null);
    }
  }
}

/** Methods by what is left of them when case and blanks do not count: some upstreams would take one for the other. */
const methodsByFold: ReadonlyMap<string, string> = new Map(KNOWN_METHODS.map((method) => [foldCase(method), method]));

/** The known method that this one is not, but could be taken for. */
function findLikeness(method: string): string | undefined {
  const known = methodsByFold.get(foldCase(method.trim()));
  return known === method ? undefined : known;
}

/** Unicode's simple case folding as far as it leads to ASCII: by way of the upper case, the long s becomes s and the Kelvin sign k. */
function foldCase(key: string): string {
  return key.toUpperCase().toLowerCase();
}

function readId(message: JsonObject): JsonRpcId | undefined {
  const id = message['id'];
  if (id === undefined || typeof id === 'string' || (typeof id === 'number' && Number.isSafeInteger(id))) {
    return id;
  }
  throw new InvalidMessageError(-32600, `'id' must be a string or an integer`);
}

function readParams(message: JsonObject, id: JsonRpcId | undefined): JsonObject | undefined {
  const params = message['params'];
  if (params === undefined) {
    return undefined;
  }
  if (params === null || typeof params !== 'object' || Array.isArray(params)) {
    throw new InvalidMessageError(-32600, `'params' must be an object`, id ?? null);
  }
  refuseLookalikes(params as JsonObject, paramKeys, id);
  return params as JsonObject;
}

function readResponse(message: JsonObject, id: JsonRpcId | undefined, text: string): ClientMessage {
  if (id !== undefined && (message['result'] !== undefined || message['error'] !== undefined)) {
    return { kind: 'response', id, method: '', params: undefined, value: message, text };
  }
  throw new InvalidMessageError(-32600, `the message has no 'method'`, id ?? null);
}

/** Numbers that JSON.parse may change: more than 15 digits, the point among them or not, or an exponent. */
const fragileNumber = /\d[\d.]{15}|\d[eE][+-]?\d/;
/** Longest text that is read exactly, in UTF-16 code units: the exact reading is slow. */
const MAX_EXACT = 64 * 1024;

/** True when numbers of the text may have been changed by parsing it. */
export function isFragile(text: string): boolean {
  return fragileNumber.test(text);
}

/** The message with every number as it was written; undefined when it is too long to be read so. */
export function parseExactly(text: string, maxLength = MAX_EXACT): JsonObject | undefined {
  if (text.length > maxLength) {
    return undefined;
  }
  const message: unknown = JSON.parse(text, (_key, value: unknown, context?: { source?: string }) =>
    typeof value === 'number' && context?.source !== undefined ? JSON.rawJSON(context.source) : value,
  );
  // It was parsed before, and was an object.
  return message as JsonObject;
}

/** The message as it is sent on: with its numbers as they were written, where parsing may have changed them; its id stays comparable. */
export function exactValue({ text, value }: Pick<ClientMessage, 'text' | 'value'>): JsonObject {
  const exact = isFragile(text) ? parseExactly(text) : undefined;
  return exact === undefined ? value : { ...exact, ...('id' in value ? { id: value['id'] } : {}) };
}
