import type { Upstream } from '../domain/upstream.ts';
import { GATEWAY_INITIALIZE, LEGACY_VERSION } from './gateway-client.ts';
import { callOverHttp, type HttpAnswer } from './http-call.ts';
import { errorAnswer, type JsonObject, textOf } from './message.ts';
import { responseIn, resultOf } from './rpc-error.ts';
import type { StreamableClient } from './streamable.ts';

/** A legacy session of the gateway itself at a streamable HTTP upstream. */
export interface OwnSession {
  readonly upstream: Upstream;
  /** Headers of every request in the session. */
  readonly headers: Record<string, string>;
  readonly initializeResult: JsonObject;
}

/** Specification 2025-11-25, basic/lifecycle, section Initialization. Throws what went wrong, with the HTTP status in its metadata. */
export async function openOwnSession(client: StreamableClient, upstream: Upstream): Promise<OwnSession> {
  const message = { jsonrpc: '2.0', id: 0, method: 'initialize', params: GATEWAY_INITIALIZE };
  const answer = await callOverHttp(client, upstream, { headers: {}, message });
  const initializeResult = resultOf(upstream, responseIn(upstream, answer));
  const version = initializeResult['protocolVersion'];
  const sessionId = answer.headers['mcp-session-id'];
  const headers: Record<string, string> = {
    'mcp-protocol-version': typeof version === 'string' ? version : LEGACY_VERSION,
  };
  if (typeof sessionId === 'string') {
    headers['mcp-session-id'] = sessionId;
  }
  const initialized = { jsonrpc: '2.0', method: 'notifications/initialized' };
  await callOverHttp(client, upstream, { headers, message: initialized });
  return { upstream, headers, initializeResult };
}

/** Tells the upstream that the session is over; what it says to that does not matter. */
export function endOwnSession(client: StreamableClient, session: OwnSession): void {
  if (session.headers['mcp-session-id'] !== undefined) {
    const sink = { onResponse: () => undefined, onData: () => true, onEnd: () => undefined, onError: () => undefined };
    client.exchange(session.upstream, { method: 'DELETE', headers: session.headers }, sink);
  }
}

/** 404 is the specified answer (specification 2025-11-25, basic/transports, section Session Management); many servers say 400. */
export function isSessionLost(session: OwnSession, answer: HttpAnswer): boolean {
  return session.headers['mcp-session-id'] !== undefined && (answer.status === 404 || answer.status === 400);
}

/** Posts a message in the session; the upstream's own requests on the answer's stream are refused. */
export async function callInSession(
  client: StreamableClient,
  session: OwnSession,
  message: JsonObject,
  signal: AbortSignal | undefined,
): Promise<HttpAnswer> {
  const { upstream, headers } = session;
  const tell = (said: JsonObject) =>
    void callOverHttp(client, upstream, { headers, message: said }).catch(() => undefined);
  const onAbort = () => {
    tell({
      jsonrpc: '2.0',
      method: 'notifications/cancelled',
      params: { requestId: message['id'], reason: 'the client disconnected' },
    });
  };
  signal?.addEventListener('abort', onAbort, { once: true });
  try {
    return await callOverHttp(client, upstream, {
      headers,
      message,
      signal,
      onMessage: (asked) => answerTo(asked, tell),
    });
  } finally {
    signal?.removeEventListener('abort', onAbort);
  }
}

/** The gateway declared no capabilities: an upstream that asks nevertheless is refused, so that it does not wait. */
function answerTo(asked: JsonObject, tell: (said: JsonObject) => void): void {
  const id = asked['id'];
  if (id !== undefined) {
    const isPing = asked['method'] === 'ping';
    tell(
      isPing
        ? { jsonrpc: '2.0', id, result: {} }
        : errorAnswer(id, -32601, `portcullis does not support ${textOf(asked['method'])}`),
    );
  }
}
