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

/**
 * `Mcp-Param-*` headers of a tool call: the arguments that the tool's `inputSchema` marks with `x-mcp-header` (specification
 * 2026-07-28, basic/transports/streamable-http, section Custom Headers from Tool Parameters).
 */
export function paramHeaders(inputSchema: unknown, callArguments: unknown): Record<string, string> {
  const headers: Record<string, string> = {};
  const properties = isObject(inputSchema) && isObject(inputSchema['properties']) ? inputSchema['properties'] : {};
  for (const [property, schema] of Object.entries(properties)) {
    const value = isObject(callArguments) ? callArguments[property] : undefined;
    const name = isObject(schema) ? schema['x-mcp-header'] : undefined;
    if (typeof name === 'string' && isPrimitive(value)) {
      headers[`mcp-param-${name.toLowerCase()}`] = headerValue(String(value));
    }
    Object.assign(headers, paramHeaders(schema, value));
  }
  return headers;
}

function isPrimitive(value: unknown): boolean {
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean';
}

/** Same document, section Value Encoding: what is not plain ASCII, or could be taken for encoded, goes as base64. */
function headerValue(text: string): string {
  const isPlain = /^([\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?)?$/.test(text) && !/^=\?base64\?.*\?=$/i.test(text);
  return isPlain ? text : `=?base64?${Buffer.from(text).toString('base64')}?=`;
}
