import { GatewayError } from '../domain/errors.ts';
import type { Upstream } from '../domain/upstream.ts';
import { GATEWAY_INITIALIZE, LEGACY_VERSION } from './gateway-client.ts';
import { callOverHttp, type HttpAnswer } from './http-call.ts';
import { errorAnswer, isObject, type JsonObject, textOf } from './message.ts';
import { resultOf } from './rpc-error.ts';
import type { StreamableClient } from './streamable.ts';

/** A legacy session of the gateway itself at a streamable HTTP upstream. */
export interface OwnSession {
  readonly upstream: Upstream;
  /** Headers of every request in the session. */
  readonly headers: Record<string, string>;
  readonly initializeResult: JsonObject;
}

/** The gateway's own legacy sessions, one for each principal and upstream. */
export interface OwnSessions {
  /** Calls within the principal's session, which is opened if need be, and once more when the upstream no longer knows it. */
  call(
    upstream: Upstream,
    principalId: string,
    message: JsonObject,
    signal: AbortSignal | undefined,
  ): Promise<HttpAnswer>;
  /** Ends the sessions at an upstream. */
  forget(upstreamId: string): void;
  /** Ends all sessions. */
  close(): void;
}

export interface OwnSessionsOptions {
  readonly client: StreamableClient;
  readonly capacity?: number;
  /** A session that was not used for this long is ended. */
  readonly idleMs?: number;
  readonly now?: () => number;
}

interface Entry {
  readonly upstream: Upstream;
  readonly opening: Promise<OwnSession>;
  lastUse: number;
}

/** Makes the sessions; the least recently used one is ended when there are too many. */
export function createOwnSessions(options: OwnSessionsOptions): OwnSessions {
  const { client, capacity = 1000, idleMs = 5 * 60_000, now = Date.now } = options;
  const entries = new Map<string, Entry>();

  const drop = (key: string): void => {
    const entry = entries.get(key);
    entries.delete(key);
    entry?.opening.then(
      (session) => endOwnSession(client, session),
      () => undefined,
    );
  };

  const forgetIf = (key: string, entry: Entry): void => {
    if (entries.get(key) === entry) {
      entries.delete(key);
    }
  };

  const entryOf = (upstream: Upstream, principalId: string): Entry => {
    const key = keyOf(upstream, principalId);
    let entry = entries.get(key);
    if (entry !== undefined && entry.upstream.revision !== upstream.revision) {
      drop(key);
      entry = undefined;
    }
    if (entry === undefined) {
      const created = { upstream, opening: openOwnSession(client, upstream), lastUse: 0 };
      created.opening.catch(() => forgetIf(key, created));
      entry = created;
    }
    entry.lastUse = now();
    entries.delete(key); // to the end: the first key is the least recently used
    entries.set(key, entry);
    const oldest = entries.keys().next().value;
    if (entries.size > capacity && oldest !== undefined) {
      drop(oldest);
    }
    return entry;
  };

  const forget = (upstreamId: string): void => {
    for (const [key, { upstream }] of entries) {
      if (upstream.id === upstreamId) {
        drop(key);
      }
    }
  };

  const sweep = setInterval(() => {
    for (const [key, { lastUse }] of entries) {
      if (lastUse + idleMs < now()) {
        drop(key);
      }
    }
  }, idleMs / 5).unref();

  const call: OwnSessions['call'] = async (upstream, principalId, message, signal) => {
    const entry = entryOf(upstream, principalId);
    const session = await entry.opening;
    const answer = await callInSession(client, session, message, signal);
    if (!isSessionLost(session, answer)) {
      return answer;
    }
    forgetIf(keyOf(upstream, principalId), entry);
    return callInSession(client, await entryOf(upstream, principalId).opening, message, signal);
  };

  const close = (): void => {
    clearInterval(sweep);
    for (const key of entries.keys()) {
      drop(key);
    }
  };

  return { call, forget, close };
}

function keyOf(upstream: Upstream, principalId: string): string {
  return `${upstream.id} ${principalId}`;
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

/** The JSON-RPC answer in an HTTP answer; without one, `bad_gateway` with what the HTTP status says. */
export function responseIn(upstream: Upstream, answer: HttpAnswer): JsonObject {
  if (answer.response !== undefined) {
    return answer.response;
  }
  const message = `The upstream "${upstream.slug}" answered ${answer.status} without a JSON-RPC answer. ${adviceFor(answer.status)}`;
  throw new GatewayError('bad_gateway', message, { metadata: { http_status: String(answer.status) } });
}

function adviceFor(status: number): string {
  if (status === 401 || status === 403) {
    return 'Check the credentials of the upstream.';
  }
  if (status === 404 || status === 405) {
    return 'Check that its URL is that of its MCP endpoint, and its transport.';
  }
  return status >= 500 ? 'Check its log.' : 'Check that its URL leads to an MCP server.';
}

/** 404 is the specified answer (specification 2025-11-25, basic/transports, section Session Management); many servers say 400. */
function isSessionLost(session: OwnSession, answer: HttpAnswer): boolean {
  return session.headers['mcp-session-id'] !== undefined && (answer.status === 404 || answer.status === 400);
}

async function callInSession(
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

/** Name and version in the result of `initialize` or `server/discover`, for people. */
export function serverNameIn(result: JsonObject): string {
  const meta = isObject(result['_meta']) ? result['_meta']['io.modelcontextprotocol/serverInfo'] : undefined;
  const info = isObject(meta) ? meta : result['serverInfo'];
  return isObject(info)
    ? `${textOf(info['name'])} ${textOf(info['version'])}`.trim().slice(0, 200)
    : 'a server without a name';
}
