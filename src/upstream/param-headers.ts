import { MODERN_VERSION } from './gateway-client.ts';
import { isObject, type JsonObject, metaOf, paramsOf, textOf } from './message.ts';

/** Field of params that `Mcp-Name` repeats, by method (specification 2026-07-28, basic/transports/streamable-http, section Standard Request Headers). */
const NAME_FIELD: Readonly<Record<string, string>> = {
  'tools/call': 'name',
  'prompts/get': 'name',
  'resources/read': 'uri',
};

/** `Mcp-Name` of a modern request, for the methods that have one. */
export function nameHeader(method: string, params: JsonObject): Record<string, string> {
  const name = params[NAME_FIELD[method] ?? ''];
  return typeof name === 'string' ? { 'mcp-name': headerValue(name) } : {};
}

/** The headers that repeat what a modern request says in its body (same document, section Request Metadata). */
export function modernRequestHeaders(message: JsonObject): Record<string, string> {
  const params = paramsOf(message);
  const method = textOf(message['method']);
  const version = metaOf(params)['io.modelcontextprotocol/protocolVersion'];
  return {
    'mcp-protocol-version': typeof version === 'string' ? version : MODERN_VERSION,
    'mcp-method': method,
    ...nameHeader(method, params),
  };
}

/** An argument of a tool that a header repeats. */
export interface MirroredArgument {
  readonly path: readonly string[];
  /** In lower case. */
  readonly header: string;
}

/** Deepest nesting of arguments that headers may repeat; real ones are a level or two deep. */
const MAX_DEPTH = 8;
const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;

/** By schema, as each is the same object until the tool changes. */
const mirrored = new WeakMap<object, readonly MirroredArgument[]>();

/**
 * The arguments that a tool's `inputSchema` marks with `x-mcp-header` (specification 2026-07-28, basic/transports/streamable-http,
 * section Custom Headers from Tool Parameters).
 */
export function mirroredArguments(inputSchema: unknown): readonly MirroredArgument[] {
  if (!isObject(inputSchema)) {
    return [];
  }
  const found = mirrored.get(inputSchema) ?? findMirrored(inputSchema, []);
  mirrored.set(inputSchema, found);
  return found;
}

function findMirrored(schema: unknown, path: readonly string[]): MirroredArgument[] {
  if (!isObject(schema) || path.length > MAX_DEPTH) {
    return [];
  }
  const name = schema['x-mcp-header'];
  const own = typeof name === 'string' && TOKEN.test(name) && path.length > 0 ? [{ path, header: headerOf(name) }] : [];
  const properties = isObject(schema['properties']) ? Object.entries(schema['properties']) : [];
  return [...own, ...properties.flatMap(([key, property]) => findMirrored(property, [...path, key]))];
}

function headerOf(name: string): string {
  return `mcp-param-${name.toLowerCase()}`;
}

/** What a call gives for a mirrored argument; undefined = nothing. */
export function argumentAt(callArguments: unknown, { path }: MirroredArgument): unknown {
  return path.reduce<unknown>(
    (holder, key) => (isObject(holder) && Object.hasOwn(holder, key) ? holder[key] : undefined),
    callArguments,
  );
}

/** The `Mcp-Param-*` headers of a tool call (same section). */
export function paramHeaders(inputSchema: unknown, callArguments: unknown): Record<string, string> {
  const headers: Record<string, string> = {};
  for (const argument of mirroredArguments(inputSchema)) {
    const text = primitiveText(argumentAt(callArguments, argument));
    if (text !== undefined) {
      headers[argument.header] = headerValue(text);
    }
  }
  return headers;
}

/** Undefined for what is no string, number or boolean: only those are repeated. */
function primitiveText(value: unknown): string | undefined {
  if (JSON.isRawJSON(value)) {
    const number = Number(value.rawJSON);
    return Number.isInteger(number) && !Number.isSafeInteger(number) ? value.rawJSON : String(number);
  }
  const isPrimitive = typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean';
  return isPrimitive ? String(value) : undefined;
}

/** Same document, section Value Encoding: what is not plain ASCII, or could be taken for encoded, goes as base64. */
function headerValue(text: string): string {
  const isPlain = /^([\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?)?$/.test(text) && !/^=\?base64\?.*\?=$/i.test(text);
  return isPlain ? text : `=?base64?${Buffer.from(text).toString('base64')}?=`;
}
