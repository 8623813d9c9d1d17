import type { GatewayError } from '../domain/errors.ts';
import type { ChannelClient } from './channel.ts';
import { type JsonObject, metaOf, paramsOf, withMeta } from './message.ts';

/** `_meta` key of every message of a `subscriptions/listen` stream (specification 2026-07-28, basic/patterns/subscriptions). */
export const SUBSCRIPTION_KEY = 'io.modelcontextprotocol/subscriptionId';
/** `_meta` key by which a request asks for log messages (specification 2026-07-28, server/utilities/logging). */
const LOG_LEVEL_KEY = 'io.modelcontextprotocol/logLevel';

export interface InFlightOptions {
  /** The id and progress token at the upstream. */
  readonly id: number;
  readonly client: ChannelClient;
  readonly message: JsonObject;
  readonly onMessage: (message: JsonObject) => void;
  /** Longest silence of the upstream, in milliseconds. */
  readonly timeoutMs: number;
  readonly onTimeout: () => void;
}

/** One request on its way: it remembers the client's id and progress token and puts them back into what comes. */
export class InFlight {
  readonly id: number;
  readonly client: ChannelClient;
  readonly clientId: unknown;
  readonly method: string;
  /** True for `subscriptions/listen`, whose answer ends a stream that may stay silent. */
  readonly isListen: boolean;
  readonly wantsLog: boolean;
  readonly #token: unknown;
  readonly #message: JsonObject;
  readonly #deliver: (message: JsonObject) => void;
  readonly timeoutMs: number;
  readonly #onTimeout: () => void;
  readonly #answer = Promise.withResolvers<JsonObject>();
  #timer: NodeJS.Timeout | undefined;
  #waitingForClient = 0;

  constructor(options: InFlightOptions) {
    const { message } = options;
    const meta = metaOf(paramsOf(message));
    this.id = options.id;
    this.client = options.client;
    this.clientId = message['id'];
    this.method = String(message['method']);
    this.isListen = this.method === 'subscriptions/listen';
    this.wantsLog = meta[LOG_LEVEL_KEY] !== undefined;
    this.#token = meta['progressToken'];
    this.#message = message;
    this.#deliver = options.onMessage;
    this.timeoutMs = options.timeoutMs;
    this.#onTimeout = options.onTimeout;
    this.#startTimer();
  }

  get answer(): Promise<JsonObject> {
    return this.#answer.promise;
  }

  /** The request as the upstream gets it. */
  outgoing(): JsonObject {
    const { id } = this;
    const params = paramsOf(this.#message);
    return this.#token === undefined
      ? { ...this.#message, id }
      : { ...this.#message, id, params: withMeta(params, 'progressToken', id) };
  }

  /** Hands on a message as it is. */
  deliver(message: JsonObject): void {
    this.heard();
    this.#deliver(message);
  }

  deliverProgress(message: JsonObject): void {
    if (this.#token !== undefined) {
      this.deliver({ ...message, params: { ...paramsOf(message), progressToken: this.#token } });
    }
  }

  /** A message of a listen stream, with the client's id as its subscription id. */
  deliverSubscribed(message: JsonObject): void {
    this.deliver({ ...message, params: withMeta(paramsOf(message), SUBSCRIPTION_KEY, this.clientId) });
  }

  /** True while the client was asked something that it has not answered. */
  get isWaitingForClient(): boolean {
    return this.#waitingForClient > 0;
  }

  /** The client was asked something; as long as it thinks, the upstream may be silent. */
  waitForClient(): void {
    this.#waitingForClient++;
    clearTimeout(this.#timer);
  }

  stopWaitingForClient(): void {
    this.#waitingForClient--;
    if (this.#waitingForClient === 0) {
      this.#startTimer();
    }
  }

  resolve(message: JsonObject): void {
    clearTimeout(this.#timer);
    const result = message['result'];
    const isTagged =
      this.isListen &&
      typeof result === 'object' &&
      result !== null &&
      SUBSCRIPTION_KEY in metaOf(result as JsonObject);
    const tagged = isTagged ? { result: withMeta(result as JsonObject, SUBSCRIPTION_KEY, this.clientId) } : {};
    this.#answer.resolve({ ...message, id: this.clientId, ...tagged });
  }

  reject(error: GatewayError): void {
    clearTimeout(this.#timer);
    this.#answer.reject(error);
  }

  /** The upstream is not silent: something came for this request. */
  heard(): void {
    if (this.isListen) {
      clearTimeout(this.#timer);
    } else if (this.#waitingForClient === 0) {
      this.#timer?.refresh();
    }
  }

  #startTimer(): void {
    this.#timer = setTimeout(this.#onTimeout, this.timeoutMs);
  }
}
