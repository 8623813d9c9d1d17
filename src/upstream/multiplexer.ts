import { GatewayError } from '../domain/errors.ts';
import type { ConnectionSharing, Era, Upstream } from '../domain/upstream.ts';
import { AskedClients } from './asked-clients.ts';
import type { ChannelClient, ChannelRequestOptions } from './channel.ts';
import type { Connection, UpstreamLog } from './connection.ts';
import { silenceOf } from './failure.ts';
import { InFlight, SUBSCRIPTION_KEY } from './in-flight.ts';
import type { Listeners } from './listeners.ts';
import { errorAnswer, type JsonObject, metaOf, paramsOf, parseMessages } from './message.ts';
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
  /** Called once, when the connection is over. */
  readonly onClose: (error: GatewayError) => void;
}

const MAX_IN_FLIGHT = 10_000;
const PING_TIMEOUT_MS = 10_000;
/** How long a modern upstream that ended a subscription may take to answer its request too. */
const LAST_ANSWER_MS = 1000;

/** What concerns every client of a connection, and not one request (specification 2025-11-25, server). */
const FOR_EVERYONE = /\/list_changed$|^notifications\/resources\/updated$/;

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
  readonly #onIdle: () => void;
  readonly #onOver: (error: GatewayError) => void;
  #lastId = 0;
  #heard = 0;
  #isPinging = false;
  #closed: GatewayError | undefined;

  constructor(options: MultiplexerOptions) {
    this.#connection = options.connection;
    this.#upstream = options.upstream;
    this.#log = options.log;
    this.#routes = new Routes(options.era, options.sharing, options.listeners);
    this.#asked = new AskedClients((message) => this.#tell(message));
    this.#onIdle = options.onIdle;
    this.#onOver = options.onClose;
    options.listeners.onDetach((listener) => this.#asked.abandon(listener));
    options.connection.onMessage((text) => this.#onText(text));
    options.connection.onClose((error) => this.#onClose(error));
  }

  get inFlight(): number {
    return this.#routes.inFlight.size;
  }

  get isClosed(): boolean {
    return this.#closed !== undefined;
  }

  /** See `Channel.request`; `timeoutMs` is the upstream's unless given. */
  async request(
    message: JsonObject,
    options: ChannelRequestOptions,
    timeoutMs = this.#upstream.timeoutMs,
  ): Promise<JsonObject> {
    this.#check(options.signal);
    const onTimeout = () => this.#onTimeout(request);
    const request = new InFlight({ ...options, id: ++this.#lastId, message, timeoutMs, onTimeout });
    this.#routes.inFlight.set(request.id, request);
    const onAbort = () => this.#cancel(request, canceled(), 'the client disconnected');
    options.signal.addEventListener('abort', onAbort, { once: true });
    this.send(request.outgoing()).catch((error: GatewayError) => this.#fail(request, error));
    try {
      return await request.answer;
    } finally {
      options.signal.removeEventListener('abort', onAbort);
    }
  }

  /** Sends a message as it is; resolves when the upstream has taken it. */
  send(message: JsonObject): Promise<void> {
    return this.#connection.send(JSON.stringify(message));
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

  #onText(text: string): void {
    this.#heard++;
    const messages = parseMessages(text);
    if (messages.length === 0) {
      this.#log.debug({ upstream: this.#upstream.slug, bytes: text.length }, 'upstream sent what is not JSON-RPC');
    }
    for (const message of messages) {
      try {
        this.#onMessage(message);
      } catch (error) {
        this.#log.warn(
          { upstream: this.#upstream.slug, err: error },
          'a message of an upstream could not be delivered',
        );
      }
    }
  }

  #onMessage(message: JsonObject): void {
    const method = message['method'];
    if (typeof method !== 'string') {
      this.#onResponse(message);
    } else if ('id' in message) {
      this.#onRequest(message, method);
    } else {
      this.#onNotification(message, method);
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

  #onRequest(message: JsonObject, method: string): void {
    if (method === 'ping') {
      this.#tell({ jsonrpc: '2.0', id: message['id'], result: {} });
      return;
    }
    const via = this.#routes.pickFor(method);
    if (via === undefined) {
      this.#tell(errorAnswer(message['id'], -32601, `no connected client supports ${method}`));
    } else {
      this.#asked.ask(message, via);
    }
  }

  #onNotification(message: JsonObject, method: string): void {
    const params = paramsOf(message);
    const subscription = metaOf(params)[SUBSCRIPTION_KEY];
    if (subscription !== undefined) {
      this.#routes.findListen(subscription)?.deliverSubscribed(message);
    } else if (method === 'notifications/progress') {
      const token = params['progressToken'];
      (typeof token === 'number' ? this.#routes.inFlight.get(token) : undefined)?.deliverProgress(message);
    } else if (method === 'notifications/cancelled') {
      this.#onCancelled(message, params);
    } else if (FOR_EVERYONE.test(method)) {
      this.#routes.deliverToAll(message);
    } else {
      this.#routes.deliverToOwner(message);
    }
  }

  /** A modern upstream ends a subscription, or a legacy one takes back a request of its own. */
  #onCancelled(message: JsonObject, params: JsonObject): void {
    const listen = this.#routes.findListen(params['requestId']);
    if (listen === undefined) {
      this.#asked.cancel(message, params);
      return;
    }
    listen.deliver({ ...message, params: { ...params, requestId: listen.clientId } });
    const text = `The upstream "${this.#upstream.slug}" ended the subscription. Listen again.`;
    setTimeout(() => this.#fail(listen, new GatewayError('unavailable', text)), LAST_ANSWER_MS).unref();
  }

  #onTimeout(request: InFlight): void {
    const error = silenceOf(this.#upstream);
    if (request.client === GATEWAY_CLIENT) {
      this.#fail(request, error);
    } else {
      this.#cancel(request, error, 'timeout');
      void this.#checkAlive();
    }
  }

  /** A silent request may be slow, but a connection that is silent altogether is dead: the next call should get a new one. */
  async #checkAlive(): Promise<void> {
    if (this.#isPinging) {
      return;
    }
    this.#isPinging = true;
    const heardBefore = this.#heard;
    const ping = { jsonrpc: '2.0', id: 0, method: 'ping' };
    const options = { client: GATEWAY_CLIENT, signal: new AbortController().signal, onMessage: () => undefined };
    try {
      await this.request(ping, options, Math.min(PING_TIMEOUT_MS, this.#upstream.timeoutMs));
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
    this.#asked.abandon(request, isAnswered);
    if (this.inFlight === 0) {
      this.#onIdle();
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
