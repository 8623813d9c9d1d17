import type { GatewayError } from '../domain/errors.ts';
import type { Upstream } from '../domain/upstream.ts';
import { GetStream } from './get-stream.ts';
import type { JsonObject } from './message.ts';
import type { StreamableClient } from './streamable.ts';

export interface ListenStreamOptions {
  readonly client: StreamableClient;
  readonly upstream: Upstream;
  /** Of the session, as they are when the stream is opened. */
  readonly headers: () => Readonly<Record<string, string>>;
  readonly onMessage: (message: JsonObject) => void;
  /** It is open after `onDeaf`. */
  readonly onGap: () => void;
  /** The upstream has none, or it broke or failed to open, and there are no event ids to resume it by. */
  readonly onDeaf: () => void;
  /** The upstream, which had one for this session, no longer knows it. */
  readonly onLost: (error: GatewayError) => void;
}

/** The one stream of a session for messages outside of requests, opened and closed as it is wanted. */
export class ListenStream {
  readonly #options: ListenStreamOptions;
  #stream: GetStream | undefined;
  #isRefused = false;
  #wasOpen = false;
  #isDeaf = false;

  constructor(options: ListenStreamOptions) {
    this.#options = options;
  }

  /** Opens it, unless it is open or the upstream has none; it stays open until `close`. */
  open(): void {
    if (this.#isRefused) {
      queueMicrotask(this.#options.onDeaf);
      return;
    }
    if (this.#stream !== undefined) {
      return;
    }
    const { client, upstream, headers, onMessage } = this.#options;
    this.#stream = new GetStream({
      client,
      upstream,
      headers: headers(),
      maxFailures: Number.POSITIVE_INFINITY,
      onMessage,
      onOpen: () => this.#onOpen(),
      onBroken: () => this.#onBroken(),
      onRefused: (status, error) => this.#onRefused(status, error),
      onGivenUp: (error) => this.#onRefused(0, error),
    });
    this.#stream.start();
  }

  close(): void {
    this.#stream?.stop();
    this.#stream = undefined;
    this.#wasOpen = false;
    this.#isDeaf = false;
  }

  #onOpen(): void {
    this.#wasOpen = true;
    if (this.#isDeaf) {
      this.#isDeaf = false;
      this.#options.onGap();
    }
  }

  #onBroken(): void {
    if (this.#stream?.lastEventId === undefined) {
      this.#isDeaf = true;
      this.#options.onDeaf();
    }
  }

  /** Servers without such a stream say 405, and some 404, as for a session that they do not know. */
  #onRefused(status: number, error: GatewayError): void {
    const wasOpen = this.#wasOpen;
    this.close();
    if (wasOpen && (status === 404 || status === 400)) {
      this.#options.onLost(error);
    } else {
      this.#isRefused = true;
      this.#options.onDeaf();
    }
  }
}
