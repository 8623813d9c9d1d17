import type { IncomingHttpHeaders } from 'node:http';
import { GatewayError } from '../domain/errors.ts';
import type { Era, Upstream } from '../domain/upstream.ts';
import type { Connection, ConnectionExchanges, ExchangeObserver, MessageListener } from './connection.ts';
import { notAnAnswer } from './failure.ts';
import { LEGACY_VERSION } from './gateway-client.ts';
import { ListenStream } from './listen-stream.ts';
import { isObject, type JsonObject, textOf } from './message.ts';
import { modernRequestHeaders } from './param-headers.ts';
import { postNotice } from './post-notice.ts';
import { RequestExchange } from './request-exchange.ts';
import { SessionLost } from './session-lost.ts';
import type { StreamableClient } from './streamable.ts';

type Headers = Readonly<Record<string, string>>;

const POST_HEADERS: Headers = { 'content-type': 'application/json', accept: 'application/json, text/event-stream' };
/** How long an upstream may take to confirm the end of its session. */
const DELETE_MS = 2000;

const NO_OBSERVER: ExchangeObserver = {
  onActivity: () => undefined,
  onGap: () => undefined,
  onDeaf: () => undefined,
  onLost: () => undefined,
};

/**
 * Messages with an upstream over streamable HTTP, each request an exchange of its own. Legacy: one session, from `initialize` to its
 * DELETE (specification 2025-11-25, basic/transports, section Streamable HTTP). Modern: no session; an exchange that ends is the cancel
 * (specification 2026-07-28, basic/transports/streamable-http).
 */
export class StreamableConnection implements Connection, ConnectionExchanges {
  readonly #client: StreamableClient;
  readonly #upstream: Upstream;
  readonly #era: Era;
  readonly #inFlight = new Map<number, RequestExchange>();
  readonly #listenStream: ListenStream;
  #onMessage: MessageListener = () => undefined;
  #onClose: (error: GatewayError) => void = () => undefined;
  #observer = NO_OBSERVER;
  /** Of every request in the session. */
  #sessionHeaders: Record<string, string> = {};
  #isLost = false;
  #failure: GatewayError | undefined;

  constructor(client: StreamableClient, upstream: Upstream, era: Era) {
    this.#client = client;
    this.#upstream = upstream;
    this.#era = era;
    this.#listenStream = new ListenStream({
      client,
      upstream,
      headers: () => this.#sessionHeaders,
      onMessage: (message) => this.#onMessage(message),
      onGap: () => this.#observer.onGap(),
      onDeaf: () => this.#observer.onDeaf(),
      onLost: (error) => this.#lose(error),
    });
  }

  get exchanges(): ConnectionExchanges {
    return this;
  }

  send(message: JsonObject, headers?: Headers): Promise<void> {
    if (this.#failure !== undefined) {
      return Promise.reject(this.#failure);
    }
    const { id, method } = message;
    if (typeof method === 'string' && typeof id === 'number') {
      return this.#request(message, id, method, headers);
    }
    // The modern era has no messages of clients besides requests.
    return this.#era === 'modern' ? Promise.resolve() : this.#tell(message);
  }

  onMessage(listener: MessageListener): void {
    this.#onMessage = listener;
  }

  onClose(listener: (error: GatewayError) => void): void {
    this.#onClose = listener;
    if (this.#failure !== undefined) {
      listener(this.#failure);
    }
  }

  observe(observer: ExchangeObserver): void {
    this.#observer = observer;
  }

  release(requestId: number): void {
    this.#inFlight.get(requestId)?.release();
  }

  listen(isWanted: boolean): void {
    if (isWanted && this.#era === 'legacy' && this.#failure === undefined && !this.#isLost) {
      this.#listenStream.open();
    } else {
      this.#listenStream.close();
    }
  }

  close(): Promise<void> {
    if (this.#failure !== undefined) {
      return Promise.resolve();
    }
    this.abort(
      new GatewayError('unavailable', `The upstream "${this.#upstream.slug}" was disconnected. Repeat the call.`),
    );
    return this.#sessionHeaders['mcp-session-id'] === undefined || this.#isLost
      ? Promise.resolve()
      : this.#endSession();
  }

  abort(error: GatewayError): void {
    if (this.#failure === undefined) {
      this.#failure = error;
      this.#listenStream.close();
      for (const exchange of this.#inFlight.values()) {
        exchange.abort();
      }
      this.#onClose(error);
    }
  }

  async #request(message: JsonObject, id: number, method: string, extra: Headers | undefined): Promise<void> {
    const isModern = this.#era === 'modern';
    const own = isModern ? modernRequestHeaders(message) : this.#sessionHeaders;
    const exchange = new RequestExchange({
      client: this.#client,
      upstream: this.#upstream,
      id,
      resumeHeaders: isModern ? undefined : () => this.#sessionHeaders,
      hasSession: !isModern && own['mcp-session-id'] !== undefined,
      onMessage: (received, requestId) => this.#take(received, requestId, method),
      onActivity: (requestId) => this.#observer.onActivity(requestId),
      ...(method === 'initialize' ? { onHead: (headers) => this.#readSession(headers) } : {}),
    });
    this.#inFlight.set(id, exchange);
    try {
      await exchange.start({
        method: 'POST',
        headers: { ...POST_HEADERS, ...own, ...extra },
        body: Buffer.from(JSON.stringify(message)),
        longLived: isModern && method === 'subscriptions/listen',
        timeoutMs: 0,
      });
    } catch (error) {
      this.#isLost ||= error instanceof SessionLost && error.status === 404;
      throw error;
    } finally {
      this.#inFlight.delete(id);
    }
  }

  #take(message: JsonObject, requestId: number, method: string): void {
    const { result } = message;
    if (method === 'initialize' && this.#era === 'legacy' && message['id'] === requestId && isObject(result)) {
      const version = textOf(result['protocolVersion']);
      this.#sessionHeaders = { ...this.#sessionHeaders, 'mcp-protocol-version': version || LEGACY_VERSION };
    }
    this.#onMessage(message, requestId);
  }

  #readSession(headers: IncomingHttpHeaders): void {
    const id = headers['mcp-session-id'];
    if (typeof id === 'string' && this.#era === 'legacy') {
      this.#sessionHeaders = { ...this.#sessionHeaders, 'mcp-session-id': id };
    }
  }

  /** A notification or a response; what the upstream says to it does not matter, unless that is about the session. */
  async #tell(message: JsonObject): Promise<void> {
    const status = await postNotice(this.#client, this.#upstream, {
      method: 'POST',
      headers: { ...POST_HEADERS, ...this.#sessionHeaders },
      body: Buffer.from(JSON.stringify(message)),
    });
    if (status === 404 && this.#sessionHeaders['mcp-session-id'] !== undefined) {
      this.#lose(notAnAnswer(this.#upstream.slug, status, ''));
    }
  }

  #lose(error: GatewayError): void {
    if (!this.#isLost && this.#failure === undefined) {
      this.#isLost = true;
      this.#listenStream.close();
      this.#observer.onLost(error);
    }
  }

  /** What the upstream says to it does not matter either. */
  async #endSession(): Promise<void> {
    const request = { method: 'DELETE', headers: this.#sessionHeaders } as const;
    await postNotice(this.#client, this.#upstream, request, DELETE_MS).catch(() => undefined);
  }
}
