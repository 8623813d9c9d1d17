import type { IncomingHttpHeaders } from 'node:http';

/** Headers of a client that go on to the upstream besides `mcp-*`; credentials, cookies and Host never do (mcp.md, 5 and 6). */
const forwarded: ReadonlySet<string> = new Set([
  'accept',
  'accept-language',
  'last-event-id',
  'traceparent',
  'tracestate',
  'baggage',
]);

/** The client's headers an upstream may see, with the session id the upstream itself gave. The content type is the gateway's own word. */
export function forwardedHeaders(
  headers: IncomingHttpHeaders,
  upstreamSessionId: string | undefined,
): Record<string, string> {
  const result: Record<string, string> = { 'content-type': 'application/json' };
  for (const name in headers) {
    const value = headers[name];
    if (typeof value === 'string' && (forwarded.has(name) || (name.startsWith('mcp-') && name !== 'mcp-session-id'))) {
      result[name] = value;
    }
  }
  if (upstreamSessionId !== undefined) {
    result['mcp-session-id'] = upstreamSessionId;
  }
  return result;
}

/** True when the client takes both forms an MCP answer may have; no Accept header means anything. */
export function acceptsAnswers(accept: string | undefined): boolean {
  if (accept === undefined || accept.includes('*/*')) {
    return true;
  }
  return accept.includes('application/json') && accept.includes('text/event-stream');
}
