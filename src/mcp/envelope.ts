import type { IncomingHttpHeaders } from 'node:http';
import type { Era } from '../domain/upstream.ts';
import { MODERN_VERSION } from '../upstream/gateway-client.ts';
import type { ClientMessage, JsonObject } from './json-rpc.ts';

/** Revisions with sessions, newest first. */
export const LEGACY_VERSIONS: readonly string[] = ['2025-11-25', '2025-06-18', '2025-03-26', '2024-11-05'];

/** Keys of `_meta` that open a modern request (specification 2026-07-28, basic, section _meta). */
export const VERSION_KEY = 'io.modelcontextprotocol/protocolVersion';
export const CAPABILITIES_KEY = 'io.modelcontextprotocol/clientCapabilities';

/** A request that its headers and its `_meta` contradict or leave incomplete; answered with HTTP 400 and this error. */
export interface EnvelopeProblem {
  readonly code: -32020 | -32022 | -32602 | -32600;
  readonly message: string;
  readonly data?: JsonObject;
}

export type Envelope = { readonly era: Era; readonly problem?: EnvelopeProblem };

/**
 * Finds out how the client opens, by the body first and never by a header alone, and checks the headers a modern client must send
 * (specification 2026-07-28, basic/transports/streamable-http, section Request Metadata).
 */
export function readEnvelope(headers: IncomingHttpHeaders, message: ClientMessage): Envelope {
  const headerVersion = headers['mcp-protocol-version'];
  const meta = message.params?.['_meta'] as JsonObject | undefined;
  const bodyVersion = meta?.[VERSION_KEY];
  if (bodyVersion !== undefined) {
    return withProblem('modern', checkModern(headers, message, meta, bodyVersion));
  }
  if (typeof headerVersion !== 'string' || LEGACY_VERSIONS.includes(headerVersion)) {
    return { era: 'legacy' };
  }
  if (headerVersion !== MODERN_VERSION) {
    // In the modern era's shape, so that clients of a later revision learn which ones are spoken here.
    return { era: 'legacy', problem: unsupported(headerVersion) };
  }
  return message.kind === 'request'
    ? { era: 'modern', problem: { code: -32602, message: `'params._meta' must hold '${VERSION_KEY}'` } }
    : withProblem('modern', checkMethodHeader(headers, message));
}

function withProblem(era: Era, problem: EnvelopeProblem | undefined): Envelope {
  return problem === undefined ? { era } : { era, problem };
}

function checkModern(
  headers: IncomingHttpHeaders,
  message: ClientMessage,
  meta: JsonObject | undefined,
  bodyVersion: unknown,
): EnvelopeProblem | undefined {
  const headerVersion = headers['mcp-protocol-version'];
  if (headerVersion === undefined) {
    return mismatch(`the header 'MCP-Protocol-Version' is missing`);
  }
  if (headerVersion !== bodyVersion) {
    return mismatch(`the header 'MCP-Protocol-Version' does not match '${VERSION_KEY}' in the body`);
  }
  if (bodyVersion !== MODERN_VERSION) {
    return unsupported(String(bodyVersion));
  }
  const capabilities = meta?.[CAPABILITIES_KEY];
  if (message.kind === 'request' && !isObject(capabilities)) {
    return { code: -32602, message: `'params._meta' must hold '${CAPABILITIES_KEY}', an object` };
  }
  return checkMethodHeader(headers, message) ?? checkNameHeader(headers, message);
}

function isObject(value: unknown): boolean {
  return value !== null && typeof value === 'object' && !Array.isArray(value);
}

function checkMethodHeader(headers: IncomingHttpHeaders, message: ClientMessage): EnvelopeProblem | undefined {
  const header = headers['mcp-method'];
  if (header === undefined) {
    return message.kind === 'request' ? mismatch(`the header 'Mcp-Method' is missing`) : undefined;
  }
  return header === message.method
    ? undefined
    : mismatch(`the header 'Mcp-Method' does not match 'method' in the body`);
}

function checkNameHeader(headers: IncomingHttpHeaders, message: ClientMessage): EnvelopeProblem | undefined {
  const field = nameFields.get(message.method);
  if (field === undefined || message.kind !== 'request') {
    return undefined;
  }
  const header = headers['mcp-name'];
  if (typeof header !== 'string') {
    return mismatch(`the header 'Mcp-Name' is missing`);
  }
  return decodeHeaderValue(header) === message.params?.[field]
    ? undefined
    : mismatch(`the header 'Mcp-Name' does not match 'params.${field}' in the body`);
}

/** The parameter that names what a governed method acts on. */
export const nameFields: ReadonlyMap<string, 'name' | 'uri'> = new Map([
  ['tools/call', 'name'],
  ['prompts/get', 'name'],
  ['resources/read', 'uri'],
]);

const SENTINEL = /^=\?base64\?([A-Za-z0-9+/]*={0,2})\?=$/;

/** Undoes the base64 sentinel of MCP header values (section Value Encoding). Undefined = not decodable. */
export function decodeHeaderValue(header: string): string | undefined {
  const encoded = SENTINEL.exec(header)?.[1];
  if (encoded === undefined) {
    return header;
  }
  const bytes = Buffer.from(encoded, 'base64');
  return bytes.toString('base64') === encoded ? bytes.toString('utf8') : undefined;
}

function mismatch(message: string): EnvelopeProblem {
  return { code: -32020, message: `Header mismatch: ${message}` };
}

/** Names the modern revisions only, as `server/discover` does: whether the upstream also speaks older ones is told by asking for them. */
function unsupported(requested: string): EnvelopeProblem {
  return {
    code: -32022,
    message: 'Unsupported protocol version',
    data: { supported: [MODERN_VERSION], requested },
  };
}
