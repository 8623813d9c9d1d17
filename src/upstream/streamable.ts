import type { IncomingHttpHeaders } from 'node:http';
import type { Client, Dispatcher } from 'undici';
import { GatewayError } from '../domain/errors.ts';
import type { Upstream } from '../domain/upstream.ts';
import { type Credentials, NO_CREDENTIALS } from './credentials.ts';
import { failureOf } from './failure.ts';
import type { Target, UpstreamPools } from './pools.ts';

/** One HTTP request to an upstream. Header names are lower-case; credentials are added on the way and win. */
export interface ExchangeRequest {
  readonly method: 'POST' | 'GET' | 'DELETE';
  readonly headers: Record<string, string>;
  readonly body?: Buffer;
  /** Instead of the path of the upstream's URL; same origin. */
  readonly path?: string;
  /**
   * The answer is a stream that may stay silent (a GET stream, `subscriptions/listen`): only its head has to come in time,
   * and it gets a connection of its own. Default: true for GET.
   */
  readonly longLived?: boolean;
  /** Longest silence of the upstream, in milliseconds; 0 when the caller itself watches over it. Default: the upstream's own. */
  readonly timeoutMs?: number | undefined;
}

/** Who takes the answer. Nothing is called before `exchange` returned, nothing after `onEnd`, `onError` or an abort. */
export interface ExchangeSink {
  /** Once, with the final status (never 1xx or 3xx). */
  onResponse(status: number, headers: IncomingHttpHeaders): void;
  /** False pauses the upstream until `resume`. */
  onData(chunk: Buffer): boolean;
  onEnd(): void;
  /** `upstream_timeout`, `bad_gateway` or `unavailable`; also in the middle of an answer. */
  onError(error: GatewayError): void;
}

/** A request on its way. */
export interface Exchange {
  resume(): void;
  /** Closes the connection, which tells the upstream; harmless after the end. */
  abort(): void;
}

/** Sends requests to upstreams over HTTP; redirects are never followed. */
export interface StreamableClient {
  exchange(upstream: Upstream, request: ExchangeRequest, sink: ExchangeSink): Exchange;
}

const ABORTED = new Error('the exchange was aborted');

/** Makes the client of the hot path: raw undici dispatch, one object an exchange. */
export function createStreamableClient(deps: { pools: UpstreamPools; credentials: Credentials }): StreamableClient {
  const { pools, credentials } = deps;
  return {
    exchange(upstream, request, sink) {
      const exchange = new HttpExchange(pools, upstream, sink);
      const headers = credentials.headersOf(upstream);
      if (headers instanceof Promise) {
        headers.then((opened) => exchange.start(request, opened)).catch((error) => exchange.fail(error));
      } else {
        exchange.start(request, headers);
      }
      return exchange;
    },
  };
}

/** The handler that undici calls and the handle that the caller holds, in one. */
class HttpExchange implements Exchange, Dispatcher.DispatchHandler {
  readonly #pools: UpstreamPools;
  readonly #upstream: Upstream;
  readonly #sink: ExchangeSink;
  #target: Target | undefined;
  #client: Client | undefined;
  #controller: Dispatcher.DispatchController | undefined;
  #timeoutMs: number;
  #ended = false;
  #aborted = false;

  constructor(pools: UpstreamPools, upstream: Upstream, sink: ExchangeSink) {
    this.#pools = pools;
    this.#upstream = upstream;
    this.#sink = sink;
    this.#timeoutMs = upstream.timeoutMs;
  }

  start(request: ExchangeRequest, credentials: Readonly<Record<string, string>>): void {
    if (this.#ended) {
      return;
    }
    const { method, body } = request;
    const longLived = request.longLived ?? method === 'GET';
    const { timeoutMs = this.#upstream.timeoutMs } = request;
    this.#timeoutMs = timeoutMs;
    const target = this.#pools.targetOf(this.#upstream);
    const dispatcher = this.#admit(target, longLived);
    dispatcher?.dispatch(
      {
        method,
        path: request.path ?? target.path,
        headers: credentials === NO_CREDENTIALS ? request.headers : { ...request.headers, ...credentials },
        body: body ?? null,
        headersTimeout: timeoutMs,
        bodyTimeout: longLived ? 0 : timeoutMs,
      },
      this,
    );
  }

  resume(): void {
    this.#controller?.resume();
  }

  abort(): void {
    this.#aborted = true;
    if (!this.#ended) {
      this.#finish();
      this.#controller?.abort(ABORTED);
    }
  }

  /** Reports the error later, so that a caller never hears of it before it holds the exchange. */
  fail(cause: unknown): void {
    if (!this.#ended) {
      this.#finish();
      const error = failureOf(this.#upstream, cause, this.#timeoutMs);
      queueMicrotask(() => {
        if (!this.#aborted) {
          this.#sink.onError(error);
        }
      });
    }
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    if (this.#ended) {
      controller.abort(ABORTED);
    }
  }

  onResponseStart(controller: Dispatcher.DispatchController, status: number, headers: IncomingHttpHeaders): void {
    if (this.#ended || status < 200) {
      return;
    }
    if (status >= 300 && status < 400) {
      this.fail(redirected(this.#upstream, status));
      controller.abort(ABORTED);
      return;
    }
    this.#sink.onResponse(status, headers);
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (!this.#ended && !this.#sink.onData(chunk)) {
      controller.pause();
    }
  }

  onResponseEnd(): void {
    if (!this.#ended) {
      this.#finish();
      this.#sink.onEnd();
    }
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    this.fail(error);
  }

  /** The connection to use, or undefined when the upstream has too many exchanges already: nothing waits in a queue. */
  #admit(target: Target, longLived: boolean): Dispatcher | undefined {
    if (longLived) {
      this.#client = this.#pools.openClient(this.#upstream);
      return this.#client;
    }
    if (target.active >= target.maxExchanges) {
      this.fail(overloaded(this.#upstream, target.maxExchanges));
      return undefined;
    }
    target.active++;
    this.#target = target;
    return target.pool;
  }

  #finish(): void {
    this.#ended = true;
    if (this.#target !== undefined) {
      this.#target.active--;
    }
    if (this.#client !== undefined) {
      this.#pools.endClient(this.#client);
    }
  }
}

function redirected(upstream: Upstream, status: number): GatewayError {
  const message = `The upstream "${upstream.slug}" answered with a redirect (${status}), which is not followed. Set its URL to the final address.`;
  return new GatewayError('bad_gateway', message);
}

function overloaded(upstream: Upstream, limit: number): GatewayError {
  const message = `The upstream "${upstream.slug}" has ${limit} calls in flight, the most allowed at once. Repeat the call later.`;
  return new GatewayError('unavailable', message, { retryAfterMs: 1000 });
}
