import type { IncomingHttpHeaders } from 'node:http';
import type { GatewayError } from '../domain/errors.ts';
import type { Upstream } from '../domain/upstream.ts';
import { BodyReader } from './body-reader.ts';
import { MAX_MESSAGE_BYTES } from './connection.ts';
import { endedWithoutAnswer, notAnAnswer, tooLarge } from './failure.ts';
import type { JsonObject } from './message.ts';
import type { Exchange, ExchangeSink, StreamableClient } from './streamable.ts';

/** Where an event stream broke off. */
export interface ResumePoint {
  readonly lastEventId: string | undefined;
  /** How long the upstream wants a client to wait. */
  readonly retryMs: number | undefined;
}

export interface GetStreamOptions {
  readonly client: StreamableClient;
  readonly upstream: Upstream;
  readonly headers: Readonly<Record<string, string>>;
  /** The stream to go on with; absent = a new one, which is opened at once. */
  readonly from?: ResumePoint;
  /** It is given up after so many tries in a row that failed. */
  readonly maxFailures: number;
  readonly onMessage: (message: JsonObject) => void;
  /** Bytes came. */
  readonly onActivity?: () => void;
  /** It is open. */
  readonly onOpen?: () => void;
  /** It broke off or could not be opened, and is tried again. */
  readonly onBroken?: () => void;
  /** The upstream refused it with this status of 4xx, or answered with something else than a stream; it is over. */
  readonly onRefused: (status: number, error: GatewayError) => void;
  /** It was given up. */
  readonly onGivenUp: (error: GatewayError) => void;
}

const FIRST_DELAY_MS = 1000;
const LONGEST_DELAY_MS = 30_000;
/** An upstream that asks for no wait at all must not be asked in a tight loop. */
const SHORTEST_DELAY_MS = 20;
/** A stream that was open for less, and brought neither a message nor an event id, was opened in vain. */
const SHORTEST_LIFE_MS = 5000;
const LONGEST_RETRY_MS = 60 * 60_000;

/**
 * The event stream that a GET opens, made anew with `Last-Event-ID` when it breaks off (specification 2025-11-25, basic/transports,
 * sections Listening for Messages from the Server, and Resumability and Redelivery).
 */
export class GetStream implements ExchangeSink {
  readonly #options: GetStreamOptions;
  #exchange: Exchange | undefined;
  #reader: BodyReader | undefined;
  #point: ResumePoint;
  #startTime = 0;
  #hasMessage = false;
  #failures = 0;
  /** Streams in a row that were opened in vain, whether they failed or were closed. */
  #vain = 0;
  #timer: NodeJS.Timeout | undefined;
  #isOver = false;

  constructor(options: GetStreamOptions) {
    this.#options = options;
    this.#point = options.from ?? { lastEventId: undefined, retryMs: undefined };
  }

  /** Where it would be resumed. */
  get lastEventId(): string | undefined {
    return this.#reader?.lastEventId ?? this.#point.lastEventId;
  }

  start(): void {
    if (this.#options.from === undefined) {
      this.#connect();
    } else {
      this.#connectLater();
    }
  }

  /** Ends it; nothing is called any more. */
  stop(): void {
    this.#isOver = true;
    clearTimeout(this.#timer);
    this.#exchange?.abort();
  }

  onResponse(status: number, headers: IncomingHttpHeaders): void {
    const contentType = headers['content-type'] ?? '';
    if (status === 200 && contentType.startsWith('text/event-stream')) {
      this.#failures = 0;
      this.#reader = new BodyReader(contentType, (message) => this.#onMessage(message));
      this.#options.onOpen?.();
      return;
    }
    this.#exchange?.abort();
    const error = notAnAnswer(this.#options.upstream.slug, status, contentType);
    if (status >= 500 || status === 429) {
      this.#afterFailure(error);
    } else {
      this.stop();
      this.#options.onRefused(status, error);
    }
  }

  onData(chunk: Buffer): boolean {
    this.#options.onActivity?.();
    if (this.#reader?.read(chunk) === false) {
      this.stop();
      this.#options.onGivenUp(tooLarge(this.#options.upstream.slug, MAX_MESSAGE_BYTES));
    }
    return true;
  }

  onEnd(): void {
    this.#connectLater();
  }

  onError(error: GatewayError): void {
    if (this.#reader === undefined) {
      this.#afterFailure(error);
    } else {
      this.#connectLater();
    }
  }

  #onMessage(message: JsonObject): void {
    this.#hasMessage = true;
    if (!this.#isOver) {
      this.#options.onMessage(message);
    }
  }

  #afterFailure(error: GatewayError): void {
    this.#failures++;
    if (this.#failures >= this.#options.maxFailures) {
      this.stop();
      this.#options.onGivenUp(error);
    } else {
      this.#connectLater();
    }
  }

  #connectLater(): void {
    if (this.#isOver) {
      return;
    }
    this.#vain = this.#wasInVain() ? this.#vain + 1 : 0;
    this.#point = { lastEventId: this.lastEventId, retryMs: this.#reader?.retryMs ?? this.#point.retryMs };
    this.#timer = setTimeout(() => this.#connect(), delayOf(this.#point.retryMs, this.#vain)).unref();
    this.#options.onBroken?.();
  }

  #wasInVain(): boolean {
    const isShort = this.#reader === undefined || performance.now() - this.#startTime < SHORTEST_LIFE_MS;
    return isShort && !this.#hasMessage && this.#reader?.lastEventId === undefined;
  }

  #connect(): void {
    const { client, upstream, headers } = this.#options;
    const { lastEventId } = this.#point;
    const resuming = lastEventId === undefined ? {} : { 'last-event-id': lastEventId };
    this.#reader = undefined;
    this.#hasMessage = false;
    this.#startTime = performance.now();
    this.#exchange = client.exchange(
      upstream,
      { method: 'GET', headers: { ...headers, accept: 'text/event-stream', ...resuming } },
      this,
    );
  }
}

/** The upstream's wish, and longer the more often it was asked in vain. */
function delayOf(retryMs: number | undefined, vain: number): number {
  const wish = Math.min(Math.max(retryMs ?? FIRST_DELAY_MS, SHORTEST_DELAY_MS), LONGEST_RETRY_MS);
  return Math.max(wish, Math.min(LONGEST_DELAY_MS, wish * 2 ** Math.max(0, vain - 1)));
}

/** The stream that goes on with the answer to a request, from where that broke off. */
export function createResumption(
  options: Omit<GetStreamOptions, 'maxFailures' | 'onRefused' | 'onGivenUp'> & { onEnd: (error: GatewayError) => void },
): GetStream {
  const { onEnd, ...rest } = options;
  return new GetStream({
    ...rest,
    maxFailures: 3,
    onRefused: () => onEnd(endedWithoutAnswer(options.upstream.slug)),
    onGivenUp: onEnd,
  });
}
