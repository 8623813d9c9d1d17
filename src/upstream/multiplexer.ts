import { GatewayError } from '../domain/errors.ts';
import type { ConnectionSharing, Era, Upstream } from '../domain/upstream.ts';
import { AskedClients } from './asked-clients.ts';
import type { ChannelClient, ChannelRequestOptions } from './channel.ts';
import type { Connection, UpstreamLog } from './connection.ts';
import { silenceOf } from './failure.ts';
import { InFlight } from './in-flight.ts';
import { createIncoming, type Incoming } from './incoming.ts';
import type { Listener, Listeners } from './listeners.ts';
import { type JsonObject, paramsOf, textOf } from './message.ts';
import { GATEWAY_CLIENT, Routes } from './routes.ts';

export interface MultiplexerOptions {
  readonly connection: Connection;
  readonly upstream: Upstream;
  readonly era: Era;
  readonly sharing: ConnectionSharing;
  readonly listeners: Listeners;
  readonly log: UpstreamLog;
  /** Called when the last request in flight ended. */
  readonly onIdle: () => void;
  /** Called when the upstream no longer knows the session: the connection serves only what is in flight. */
  readonly onLost: (error: GatewayError) => void;
  /** Called once, when the connection is over. */
  readonly onClose: (error: GatewayError) => void;
}

const MAX_IN_FLIGHT = 10_000;
const PING_TIMEOUT_MS = 10_000;
/** How long a modern upstream that ended a subscription may take to answer its request too. */
const LAST_ANSWER_MS = 1000;

/**
 * Many clients over one connection: ids and progress tokens are rewritten both ways, so that equal ones of two clients never
 * meet, and each message of the upstream goes to the client it belongs to (mcp.md, 9).
 */
export class Multiplexer {
  readonly #connection: Connection;
  readonly #upstream: Upstream;
  readonly #log: UpstreamLog;
  readonly #routes: Routes;
  readonly #asked: AskedClients;
  readonly #incoming: Incoming;
  readonly #onIdle: () => void;
  readonly #onOver: (error: GatewayError) => void;
  #lastId = 0;
  #heard = 0;
  #isPinging = false;
  #closed: GatewayError | undefined;

  constructor(options: MultiplexerOptions) {
    const { connection, listeners } = options;
    this.#connection = connection;
    this.#upstream = options.upstream;
    this.#log = options.log;
    this.#routes = new Routes(options.era, options.sharing, listeners);
    const tell = (message: JsonObject) => this.#tell(message);
    this.#asked = new AskedClients(tell);
    const onListenEnd = (listen: InFlight) => this.#onListenEnd(listen);
    this.#incoming = createIncoming({ routes: this.#routes, asked: this.#asked, tell, onListenEnd });
    this.#onIdle = options.onIdle;
    this.#onOver = options.onClose;
    connection.exchanges?.observe({
      onActivity: (requestId) => this.#routes.inFlight.get(requestId)?.heard(),
      onGap: () => listeners.reopened(),
      onDeaf: () => listeners.deaf(),
      onLost: options.onLost,
    });
    connection.onMessage((message, requestId) => this.#onMessage(message, requestId));
    connection.onClose((error) => this.#onClose(error));
  }

  get inFlight(): number {
    return this.#routes.inFlight.size;
  }

  /** True when no client needs it now: what the catalogue listens to is not worth keeping another from a call. */
  get isSpare(): boolean {
    return [...this.#routes.inFlight.values()].every(({ isListen, client }) => isListen && client.isCatalogue === true);
  }

  get isClosed(): boolean {
    return this.#closed !== undefined;
  }

  /** See `Channel.request`. Rejects with SessionLost when the upstream did not process it for that reason. */
  async request(message: JsonObject, options: ChannelRequestOptions): Promise<JsonObject> {
    this.#check(options.signal);
    const onTimeout = () => this.#onTimeout(request);
    const timeoutMs = options.timeoutMs ?? this.#upstream.timeoutMs;
    const request = new InFlight({ ...options, id: ++this.#lastId, message, timeoutMs, onTimeout });
    this.#routes.inFlight.set(request.id, request);
    const onAbort = () => this.#cancel(request, canceled(), 'the client disconnected');
    options.signal.addEventListener('abort', onAbort, { once: true });
    this.#connection
      .send(request.outgoing(), options.headers)
      .catch((error: GatewayError) => this.#fail(request, error));
    try {
      return await request.answer;
    } finally {
      options.signal.removeEventListener('abort', onAbort);
    }
  }

  /** Sends a message as it is; resolves when the upstream has taken it. */
  send(message: JsonObject): Promise<void> {
    return this.#connection.send(message);
  }

  /** See `Channel.notify`. */
  notify(client: ChannelClient, message: JsonObject): void {
    if (message['method'] !== 'notifications/cancelled') {
      this.#tell(message);
      return;
    }
    const request = this.#routes.findOf(client, paramsOf(message)['requestId']);
    if (request !== undefined) {
      this.#tell({ ...message, params: { ...paramsOf(message), requestId: request.id } });
      this.#fail(request, canceled());
    }
  }

  /** See `Channel.respond`. */
  respond(client: ChannelClient, message: JsonObject): boolean {
    return this.#asked.respond(client, message);
  }

  /** Whether somebody listens to what the upstream says outside of requests. */
  listen(isWanted: boolean): void {
    this.#connection.exchanges?.listen(isWanted);
  }

  /** A listening stream was closed: nobody will answer what was asked on it. */
  detached(listener: Listener): void {
    this.#asked.abandon(listener);
  }

  /** Ends the connection; what is in flight fails. */
  close(): Promise<void> {
    return this.#connection.close();
  }

  /** Ends the subscriptions, which would keep the connection open for as long as their clients want. */
  endListens(error: GatewayError): void {
    for (const request of this.#routes.inFlight.values()) {
      if (request.isListen) {
        this.#cancel(request, error, error.message);
      }
    }
  }

  #check(signal: AbortSignal): void {
    if (this.#closed !== undefined || signal.aborted) {
      throw this.#closed ?? canceled();
    }
    if (this.inFlight >= MAX_IN_FLIGHT) {
      const message = `The upstream "${this.#upstream.slug}" has ${MAX_IN_FLIGHT} calls in flight on one connection. Repeat the call later.`;
      throw new GatewayError('unavailable', message, { retryAfterMs: 1000 });
    }
  }

  #onMessage(message: JsonObject, requestId: number | undefined): void {
    this.#heard++;
    const method = message['method'];
    try {
      if (typeof method !== 'string') {
        this.#onResponse(message);
      } else if ('id' in message) {
        this.#incoming.takeRequest(message, method, requestId);
      } else {
        this.#incoming.takeNotification(message, method, requestId);
      }
    } catch (error) {
      this.#log.warn({ upstream: this.#upstream.slug, err: error }, 'a message of an upstream could not be delivered');
    }
  }

  #onResponse(message: JsonObject): void {
    const id = message['id'];
    // Servers that could not read a request answer with the id null: with one in flight it is clear whose answer that is.
    const isNull = id === null && 'error' in message;
    const request = typeof id === 'number' ? this.#routes.inFlight.get(id) : this.#routes.onlyOne(() => isNull);
    if (request !== undefined) {
      this.#remove(request, true);
      request.resolve(message);
    }
  }

  #onListenEnd(listen: InFlight): void {
    const text = `The upstream "${this.#upstream.slug}" ended the subscription. Listen again.`;
    setTimeout(() => this.#fail(listen, new GatewayError('unavailable', text)), LAST_ANSWER_MS).unref();
  }

  #onTimeout(request: InFlight): void {
    const error = silenceOf(this.#upstream, undefined, request.timeoutMs);
    if (request.client === GATEWAY_CLIENT) {
      this.#fail(request, error);
    } else {
      this.#cancel(request, error, 'timeout');
      void this.#checkAlive();
    }
  }

  /** A silent request may be slow, but a connection that is silent altogether is dead: the next call should get a new one. */
  async #checkAlive(): Promise<void> {
    if (this.#isPinging || this.#connection.exchanges !== undefined) {
      return; // exchanges of their own say nothing about each other
    }
    this.#isPinging = true;
    const heardBefore = this.#heard;
    const ping = { jsonrpc: '2.0', id: 0, method: 'ping' };
    const timeoutMs = Math.min(PING_TIMEOUT_MS, this.#upstream.timeoutMs);
    try {
      const { signal } = new AbortController();
      await this.request(ping, { client: GATEWAY_CLIENT, signal, timeoutMs, onMessage: () => undefined });
    } catch {
      if (this.#heard === heardBefore) {
        this.#connection.abort(silenceOf(this.#upstream));
      }
    }
    this.#isPinging = false;
  }

  #cancel(request: InFlight, error: GatewayError, reason: string): void {
    if (this.#routes.inFlight.has(request.id)) {
      this.#tell({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: request.id, reason } });
      this.#fail(request, error);
    }
  }

  #fail(request: InFlight, error: GatewayError): void {
    if (this.#routes.inFlight.has(request.id)) {
      this.#remove(request, false);
      request.reject(error);
    }
  }

  #remove(request: InFlight, isAnswered: boolean): void {
    this.#routes.inFlight.delete(request.id);
    this.#connection.exchanges?.release(request.id);
    if (isAnswered) {
      this.#askOthers(request);
    } else {
      this.#asked.abandon(request);
    }
    if (this.inFlight === 0) {
      this.#onIdle();
    }
  }

  /** What the upstream asked with a request that it has answered was another request's question, where one stream has those of all. */
  #askOthers(answered: InFlight): void {
    const questions = this.#asked.take(answered);
    if (this.#connection.exchanges === undefined && this.inFlight > 0) {
      for (const question of questions) {
        this.#incoming.takeRequest(question, textOf(question['method']), undefined);
      }
    }
  }

  #onClose(error: GatewayError): void {
    this.#closed = error;
    const requests = [...this.#routes.inFlight.values()];
    this.#routes.inFlight.clear();
    for (const request of requests) {
      request.reject(error);
    }
    this.#onOver(error);
  }

  /** Sends without waiting; when that fails, nobody could do anything about it. */
  #tell(message: JsonObject): void {
    if (this.#closed === undefined) {
      this.send(message).catch(() => undefined);
    }
  }
}

function canceled(): GatewayError {
  return new GatewayError('canceled', 'The client cancelled the call or went away.');
}
