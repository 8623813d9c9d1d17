import type { ServerResponse } from 'node:http';
import type { Era, Upstream } from '../../src/domain/upstream.ts';
import { type Listening, serveTexts, upstreamOf } from '../upstream/fixtures.ts';
import type { Json } from './mcp-client.ts';

/** A streamable HTTP upstream that a test answers by hand. */
export interface HandUpstream extends Listening {
  readonly upstream: Upstream;
  /** The bodies of the governed requests that arrived, as they came. */
  readonly calls: readonly string[];
  /** The `Mcp-Session-Id` of those requests. */
  readonly sessionIds: readonly (string | undefined)[];
  /** All other messages but `initialize` that arrived. */
  readonly others: readonly Json[];
}

export interface HandUpstreamOptions {
  readonly era: Era;
  /** The session id that `initialize` gives; absent = none. */
  readonly sessionId?: string;
  readonly changes?: Partial<Upstream>;
}

/** Starts one; `onCall` answers each `tools/call`. */
export async function serveByHand(
  onCall: (message: Json & { params: Json }, response: ServerResponse) => void,
  { era, sessionId, changes }: HandUpstreamOptions,
): Promise<HandUpstream> {
  const calls: string[] = [];
  const sessionIds: (string | undefined)[] = [];
  const others: Json[] = [];
  const server = await serveTexts((request, text, response) => {
    if (request.method !== 'POST') {
      response.writeHead(request.method === 'DELETE' ? 200 : 405).end();
      return;
    }
    const message = JSON.parse(text) as Json & { params: Json };
    if (message['method'] === 'tools/call') {
      calls.push(text);
      sessionIds.push(request.headers['mcp-session-id'] as string | undefined);
      return onCall(message, response);
    }
    if (message['method'] === 'initialize') {
      const serverInfo = { name: 'by hand', version: '1' };
      const result = { protocolVersion: '2025-11-25', capabilities: { tools: {} }, serverInfo };
      return answerJson(response, { id: message['id'], result }, sessionId);
    }
    others.push(message);
    response.writeHead(202).end();
  });
  const upstream = upstreamOf({ kind: 'streamable_http', url: server.url }, { era, ...changes });
  return { ...server, upstream, calls, sessionIds, others };
}

/** Answers with one JSON-RPC message. */
export function answerJson(response: ServerResponse, message: Json, sessionId?: string): void {
  response.writeHead(200, {
    'content-type': 'application/json',
    ...(sessionId === undefined ? {} : { 'mcp-session-id': sessionId }),
  });
  response.end(JSON.stringify({ jsonrpc: '2.0', ...message }));
}
