import type { IncomingHttpHeaders } from 'node:http';
import { createParser, type EventSourceMessage } from 'eventsource-parser';
import { GatewayError } from '../domain/errors.ts';
import type { Upstream } from '../domain/upstream.ts';
import { type Connection, MAX_MESSAGE_BYTES, MAX_QUEUED_BYTES, type MessageListener } from './connection.ts';
import { HttpStatusError, tooLarge } from './failure.ts';
import { type JsonObject, parseMessages } from './message.ts';
import type { Exchange, StreamableClient } from './streamable.ts';

/**
 * Messages with an upstream of the two-endpoint transport (specification 2024-11-05, basic/transports, section HTTP with SSE):
 * they come on one event stream and are posted to the endpoint that its first event names. What is sent before that waits.
 */
export class SseConnection implements Connection {
  readonly #client: StreamableClient;
  readonly #upstream: Upstream;
  readonly #url: URL;
  readonly #endpoint = Promise.withResolvers<string>();
  readonly #stream: Exchange;
  readonly #decoder = new TextDecoder();
  #queuedBytes = 0;
  #isOpen = false;
  #onMessage: MessageListener = () => undefined;
  #onClose: (error: GatewayError) => void = () => undefined;
  #failure: GatewayError | undefined;

  /** Begins to open the stream. */
  constructor(client: StreamableClient, upstream: Upstream, url: string) {
    this.#client = client;
    this.#upstream = upstream;
    this.#url = new URL(url);
    this.#endpoint.promise.catch(() => undefined); // whoever sends hears of it
    const timer = setTimeout(
      () => this.abort(this.#error('named no endpoint in time. Check that its URL is that of its event stream.')),
      upstream.timeoutMs,
    );
    this.#endpoint.promise.finally(() => clearTimeout(timer)).catch(() => undefined);
    this.#stream = this.#openStream();
  }

  async send(message: JsonObject): Promise<void> {
    const text = JSON.stringify(message);
    this.#queuedBytes += text.length;
    try {
      if (this.#queuedBytes > MAX_QUEUED_BYTES) {
        throw this.#error('does not take its messages: too much waits for it.', 'unavailable');
      }
      const path = await this.#endpoint.promise;
      await this.#post(path, text);
    } finally {
      this.#queuedBytes -= text.length;
    }
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

  close(): Promise<void> {
    this.abort(this.#error('was disconnected. Repeat the call.', 'unavailable'));
    return Promise.resolve();
  }

  abort(error: GatewayError): void {
    if (this.#failure === undefined) {
      this.#failure = error;
      this.#endpoint.reject(error);
      this.#stream.abort();
      this.#onClose(error);
    }
  }

  #openStream(): Exchange {
    const parser = createParser({
      maxBufferSize: MAX_MESSAGE_BYTES,
      onEvent: (event) => this.#onEvent(event),
      onError: (error) => {
        if (error.type === 'max-buffer-size-exceeded') {
          this.abort(tooLarge(this.#upstream.slug, MAX_MESSAGE_BYTES));
        }
      },
    });
    return this.#client.exchange(
      this.#upstream,
      { method: 'GET', headers: { accept: 'text/event-stream', 'cache-control': 'no-cache' } },
      {
        onResponse: (status, headers) => this.#checkResponse(status, headers),
        onData: (chunk) => {
          if (this.#failure === undefined) {
            parser.feed(this.#decoder.decode(chunk, { stream: true }));
          }
          return true;
        },
        onEnd: () => this.abort(this.#error('closed its event stream. Repeat the call.')),
        onError: (error) => this.abort(error),
      },
    );
  }

  #checkResponse(status: number, headers: IncomingHttpHeaders): void {
    if (status !== 200) {
      const message = `answered ${status} when its event stream was opened. Check its URL and its credentials.`;
      this.abort(this.#error(message, 'bad_gateway', new HttpStatusError(status)));
    } else if (headers['content-type']?.startsWith('text/event-stream') !== true) {
      this.abort(this.#error('did not answer with an event stream. Check that its URL is that of its event stream.'));
    }
  }

  #onEvent(event: EventSourceMessage): void {
    if (this.#failure !== undefined) {
      return;
    }
    if (event.event === 'endpoint' && !this.#isOpen) {
      this.#onEndpoint(event.data);
    } else if ((event.event ?? 'message') === 'message' && event.data !== '') {
      for (const message of parseMessages(event.data)) {
        this.#onMessage(message);
      }
    }
  }

  /** Another origin would get the credentials of this one. */
  #onEndpoint(data: string): void {
    const endpoint = URL.parse(data, this.#url);
    if (endpoint === null || endpoint.origin !== this.#url.origin) {
      this.abort(this.#error('named an endpoint of another origin, which is not used.'));
      return;
    }
    this.#isOpen = true;
    this.#endpoint.resolve(endpoint.pathname + endpoint.search);
  }

  /** Resolves as soon as the upstream accepted the message; its answer comes on the stream. */
  #post(path: string, text: string): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#client.exchange(
      this.#upstream,
      { method: 'POST', path, headers: { 'content-type': 'application/json' }, body: Buffer.from(text) },
      {
        onResponse: (status) => {
          if (status < 300) {
            resolve();
          } else {
            reject(this.#error(`answered ${status} to a message. Its session may have ended; repeat the call.`));
          }
        },
        onData: () => true,
        onEnd: () => undefined,
        onError: reject,
      },
    );
    return promise;
  }

  #error(what: string, reason: 'bad_gateway' | 'unavailable' = 'bad_gateway', cause?: unknown): GatewayError {
    return new GatewayError(reason, `The upstream "${this.#upstream.slug}" ${what}`, { cause });
  }
}
