import { writeFileSync } from 'node:fs';

/** The two families of MCP revisions: session-based up to 2025-11-25, and stateless from 2026-07-28. */
export type Era = 'legacy' | 'modern';

/** Where a request of the benchmark goes and as whom. */
export interface Destination {
  readonly port: number;
  readonly path: string;
  /** Sent as a bearer token. */
  readonly apiKey: string;
  /** The name under which the tool is called; `echo` unless a gateway gives it another. */
  readonly tool?: string;
  /** The open session, for the legacy era. */
  readonly sessionId?: string;
}

/** How many different requests a generator sends in turn. */
export const REQUEST_VARIANTS = 1024;

/** `_meta` of every request of revision 2026-07-28. */
export const MODERN_META = {
  'io.modelcontextprotocol/protocolVersion': '2026-07-28',
  'io.modelcontextprotocol/clientInfo': { name: 'portcullis-bench', version: '1.0.0' },
  'io.modelcontextprotocol/clientCapabilities': {},
};

/** The headers that the transport of an era demands for one request. */
export function eraHeaders(era: Era, method: string, name?: string, sessionId?: string): Record<string, string> {
  const headers: Record<string, string> = {
    'Content-Type': 'application/json',
    Accept: 'application/json, text/event-stream',
  };
  if (era === 'modern') {
    headers['MCP-Protocol-Version'] = '2026-07-28';
    headers['Mcp-Method'] = method;
    if (name !== undefined) headers['Mcp-Name'] = name;
  } else if (sessionId !== undefined) {
    headers['MCP-Protocol-Version'] = '2025-11-25';
    headers['Mcp-Session-Id'] = sessionId;
  }
  return headers;
}

/** The JSON-RPC text of a `tools/call` with one argument of 64 bytes. */
export function toolCallBody(era: Era, id: number, tool = 'echo'): string {
  const text = `call ${String(id).padStart(6, '0')} `.padEnd(64, 'abcdefghijklmnopqrstuvwxyz ');
  const call = { name: tool, arguments: { text } };
  return JSON.stringify({
    jsonrpc: '2.0',
    id,
    method: 'tools/call',
    params: era === 'modern' ? { ...call, _meta: MODERN_META } : call,
  });
}

/** The bytes of one `tools/call` as HTTP/1.1 text. */
export function toolCallRequest(era: Era, id: number, to: Destination): string {
  const tool = to.tool ?? 'echo';
  const body = toolCallBody(era, id, tool);
  const headers = {
    Host: `127.0.0.1:${to.port}`,
    Authorization: `Bearer ${to.apiKey}`,
    ...eraHeaders(era, 'tools/call', tool, to.sessionId),
    'Content-Length': String(Buffer.byteLength(body)),
  };
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  return `POST ${to.path} HTTP/1.1\r\n${lines.join('')}\r\n${body}`;
}

/** Writes the requests a generator repeats, each with its own id and argument, spread over the destinations; NUL separates them. */
export function writeRequestFile(file: string, era: Era, destinations: readonly Destination[]): void {
  const requests = Array.from({ length: REQUEST_VARIANTS }, (_, i) => {
    const to = destinations[i % destinations.length];
    if (to === undefined) throw new Error('a request file needs at least one destination');
    return toolCallRequest(era, i + 1, to);
  });
  writeFileSync(file, requests.join('\0'));
}

/** Writes different Authorize requests (Connect with JSON) for an agent; NUL separates them. */
export function writeAuthorizeRequests(file: string, to: Omit<Destination, 'path'>, agent: string): void {
  const requests = Array.from({ length: REQUEST_VARIANTS }, (_, i) => {
    const body = JSON.stringify({
      agent: { slug: agent },
      tool: 'echo',
      arguments: { text: `call ${i}`.padEnd(64, '.') },
    });
    const head = [
      'POST /portcullis.v1.ToolService/Authorize HTTP/1.1',
      `Host: 127.0.0.1:${to.port}`,
      `Authorization: Bearer ${to.apiKey}`,
      'Content-Type: application/json',
      'Connect-Protocol-Version: 1',
      `Content-Length: ${Buffer.byteLength(body)}`,
    ];
    return `${head.join('\r\n')}\r\n\r\n${body}`;
  });
  writeFileSync(file, requests.join('\0'));
}
