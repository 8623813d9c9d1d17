import type { Dispatcher } from 'undici';
import { GatewayError } from '../domain/errors.ts';
import type { NetworkGuard } from './network-guard.ts';
import { Client } from './undici.ts';

/** One POST to a webhook; header names are lower-case. */
export interface WebhookPost {
  /** http or https. */
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  /** Bounds the whole exchange. */
  readonly signal: AbortSignal;
}

const CONNECT_TIMEOUT_MS = 10_000;
/** What is read of an answer, whose body nobody needs, in bytes. */
const MAX_ANSWER = 64 * 1024;

/**
 * Makes what sends to webhooks, under the same network rules as upstreams. It resolves with the status, whatever it is: redirects are
 * not followed, because they could lead anywhere. Rejects when there is no answer. Each request has a connection of its own, so that
 * nothing is left open between events.
 */
export function createWebhookClient({ guard }: { readonly guard: NetworkGuard }) {
  return async function send(post: WebhookPost): Promise<{ readonly status: number }> {
    post.signal.throwIfAborted();
    const url = new URL(post.url);
    const client = new Client(url.origin, { connect: guard.connector(CONNECT_TIMEOUT_MS), pipelining: 1 });
    try {
      return { status: await exchange(client, url, post) };
    } finally {
      // Not awaited: a connection that is still being opened would hold up the answer.
      void client.destroy();
    }
  };
}

function exchange(client: Dispatcher, url: URL, { headers, body, signal }: WebhookPost): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  let status: number | undefined;
  let received = 0;
  const end = (error: unknown) => (status === undefined ? reject(error) : resolve(status));
  const onAbort = () => end(signal.reason);
  signal.addEventListener('abort', onAbort, { once: true });
  client.dispatch(
    { method: 'POST', path: url.pathname + url.search, headers: { ...headers }, body },
    {
      onRequestStart() {},
      onResponseStart(_controller, answered) {
        // 1xx announce the answer, they are none.
        if (answered >= 200) status = answered;
      },
      onResponseData(_controller, chunk) {
        received += chunk.length;
        if (received > MAX_ANSWER) end(undefined);
      },
      onResponseEnd: () => end(noAnswer()),
      onResponseError: (_controller, error) => end(error),
    },
  );
  return promise.finally(() => signal.removeEventListener('abort', onAbort));
}

function noAnswer(): GatewayError {
  return new GatewayError('bad_gateway', 'The webhook ended the connection without an answer.');
}
