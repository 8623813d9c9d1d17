import type { Upstream } from '../domain/upstream.ts';
import type { ExchangeRequest, StreamableClient } from './streamable.ts';

/** How long the body of an answer that nobody reads may take. */
const LAST_BYTES_MS = 1000;

/**
 * Sends what needs no answer; resolves with the HTTP status as soon as that is known, or with 0 when it takes longer than `maxMs`.
 * Rejects as an exchange does.
 */
export function postNotice(
  client: StreamableClient,
  upstream: Upstream,
  request: ExchangeRequest,
  maxMs?: number,
): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  let timer: NodeJS.Timeout | undefined;
  const exchange = client.exchange(upstream, request, {
    onResponse(status) {
      resolve(status);
      clearTimeout(timer);
      timer = setTimeout(() => exchange.abort(), LAST_BYTES_MS).unref();
    },
    onData: () => true,
    onEnd: () => clearTimeout(timer),
    onError(error) {
      clearTimeout(timer);
      reject(error);
    },
  });
  if (maxMs !== undefined) {
    timer = setTimeout(() => {
      exchange.abort();
      resolve(0);
    }, maxMs);
  }
  return promise;
}
