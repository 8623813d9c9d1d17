import type { IncomingHttpHeaders } from 'node:http';
import type { GatewayError } from '../domain/errors.ts';
import type { Upstream } from '../domain/upstream.ts';
import { BodyReader } from './body-reader.ts';
import { MAX_MESSAGE_BYTES } from './connection.ts';
import { endedWithoutAnswer, notAnAnswer, tooLarge } from './failure.ts';
import { createResumption, type GetStream } from './get-stream.ts';
import { isObject, type JsonObject } from './message.ts';
import { isSessionLost, SessionLost } from './session-lost.ts';
import type { Exchange, ExchangeRequest, ExchangeSink, StreamableClient } from './streamable.ts';

export interface RequestExchangeOptions {
  readonly client: StreamableClient;
  readonly upstream: Upstream;
  /** The request's id at the upstream. */
  readonly id: number;
  /** Headers of a GET that resumes the answer's stream; undefined = that cannot be resumed (modern era). */
  readonly resumeHeaders: (() => Readonly<Record<string, string>>) | undefined;
  /** True when the request belongs to a session, which the upstream may have lost. */
  readonly hasSession: boolean;
  /** Takes everything that comes, the answer last. */
  readonly onMessage: (message: JsonObject, requestId: number) => void;
  readonly onActivity: (requestId: number) => void;
  /** Called with the head of the answer. */
  readonly onHead?: (headers: IncomingHttpHeaders) => void;
}

/** How long an upstream may keep a stream open after the answer, which should end it. */
const LAST_BYTES_MS = 1000;

/**
 * One request to a streamable HTTP upstream: its POST, the JSON or the event stream that answers it, and that stream's resumption
 * (specification 2025-11-25, basic/transports, sections Sending Messages to the Server, and Resumability and Redelivery).
 */
export class RequestExchange implements ExchangeSink {
  readonly #options: RequestExchangeOptions;
  readonly #done = Promise.withResolvers<void>();
  #exchange: Exchange | undefined;
  #status = 0;
  #contentType = '';
  #reader: BodyReader | undefined;
  #resumption: GetStream | undefined;
  #isAnswered = false;
  #isOver = false;
  #lastBytes: NodeJS.Timeout | undefined;

  constructor(options: RequestExchangeOptions) {
    this.#options = options;
  }

  /** Resolves when the answer has come and its stream is over; rejects when none will come. */
  start(request: ExchangeRequest): Promise<void> {
    this.#exchange = this.#options.client.exchange(this.#options.upstream, request, this);
    return this.#done.promise;
  }

  /** Nobody waits any more; what is left of an answer that came is still read. */
  release(): void {
    if (!this.#isAnswered) {
      this.abort();
    }
  }

  /** Ends the exchange at once; the promise of `start` resolves. */
  abort(): void {
    if (!this.#isOver) {
      this.#finish();
      this.#exchange?.abort();
      this.#resumption?.stop();
      this.#done.resolve();
    }
  }

  onResponse(status: number, headers: IncomingHttpHeaders): void {
    this.#status = status;
    this.#contentType = headers['content-type'] ?? '';
    this.#reader = new BodyReader(this.#contentType, (message) => this.#onMessage(message));
    this.#options.onActivity(this.#options.id);
    this.#options.onHead?.(headers);
  }

  onData(chunk: Buffer): boolean {
    this.#options.onActivity(this.#options.id);
    if (this.#reader?.read(chunk) === false) {
      this.#exchange?.abort();
      this.#reject(tooLarge(this.#options.upstream.slug, MAX_MESSAGE_BYTES));
    }
    return true;
  }

  onEnd(): void {
    this.#reader?.end();
    this.#afterBody(undefined);
  }

  onError(error: GatewayError): void {
    this.#afterBody(error);
  }

  #onMessage(message: JsonObject): void {
    if (this.#isOver) {
      return;
    }
    const { id, onMessage } = this.#options;
    if (typeof message['method'] === 'string') {
      onMessage(message, id);
      return;
    }
    if (this.#isAnswered || this.#isRefused(message)) {
      return;
    }
    if (message['id'] === id || this.#isErrorOfThisExchange(message)) {
      this.#isAnswered = true;
      onMessage(message['id'] === id ? message : { ...message, id }, id);
      this.#endSoon();
    }
  }

  /** The answer ends a stream; one that the upstream keeps open would hold the connection for ever. */
  #endSoon(): void {
    if (this.#resumption !== undefined) {
      this.abort();
    } else if (this.#reader?.isStream === true) {
      this.#lastBytes = setTimeout(() => this.abort(), LAST_BYTES_MS).unref();
    }
  }

  /** True when the answer is no word about the request itself. */
  #isRefused(message: JsonObject): boolean {
    const { id, hasSession, upstream } = this.#options;
    if (this.#status === 401 || this.#status === 403) {
      return true; // about the gateway's own credentials
    }
    if (hasSession && isSessionLost(this.#status, message, id)) {
      const instead = notAnAnswer(upstream.slug, this.#status, this.#contentType);
      this.#exchange?.abort();
      this.#reject(new SessionLost(this.#status, { ...message, id }, instead));
      return true;
    }
    return false;
  }

  /** Servers that could not read a request, or refuse it with an HTTP status, answer with the id null or one of their own. */
  #isErrorOfThisExchange(message: JsonObject): boolean {
    return isObject(message['error']) && ((message['id'] ?? null) === null || this.#status >= 400);
  }

  /** The body is over, in order or not. */
  #afterBody(error: GatewayError | undefined): void {
    if (this.#isOver) {
      return;
    }
    if (this.#isAnswered) {
      this.#finish();
      this.#done.resolve();
    } else if (this.#reader?.lastEventId !== undefined && this.#options.resumeHeaders !== undefined) {
      this.#resume(this.#options.resumeHeaders(), this.#reader);
    } else {
      this.#reject(error ?? this.#noAnswer());
    }
  }

  #resume(headers: Readonly<Record<string, string>>, reader: BodyReader): void {
    const { client, upstream, id, onActivity } = this.#options;
    this.#resumption = createResumption({
      client,
      upstream,
      headers,
      from: reader,
      onMessage: (message) => this.#onMessage(message),
      onActivity: () => onActivity(id),
      onEnd: (error) => this.#reject(error),
    });
    this.#resumption.start();
  }

  #noAnswer(): GatewayError {
    const { upstream, hasSession, id } = this.#options;
    if (this.#reader?.isStream === true && this.#status < 300) {
      return endedWithoutAnswer(upstream.slug);
    }
    const error = notAnAnswer(upstream.slug, this.#status, this.#contentType);
    return hasSession && isSessionLost(this.#status, undefined, id)
      ? new SessionLost(this.#status, undefined, error)
      : error;
  }

  #reject(error: GatewayError): void {
    if (!this.#isOver) {
      this.#finish();
      this.#resumption?.stop();
      this.#done.reject(error);
    }
  }

  #finish(): void {
    this.#isOver = true;
    clearTimeout(this.#lastBytes);
  }
}
