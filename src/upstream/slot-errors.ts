import { GatewayError } from '../domain/errors.ts';
import type { Upstream } from '../domain/upstream.ts';

/** The upstream that a connection was made for is not that of today. */
export function changed(upstream: Upstream): GatewayError {
  return unavailable(upstream, 'was changed or removed meanwhile. Repeat the call.');
}

/** The connection ended before a call could use it. */
export function closedAtOnce(upstream: Upstream): GatewayError {
  return unavailable(upstream, 'closed its connection as soon as it was open. Repeat the call.');
}

/** The connection made room for another; whoever only listened on it may do so again when it is there again. */
export function madeRoom(upstream: Upstream): GatewayError {
  return new GatewayError('canceled', `The connection to the upstream "${upstream.slug}" made room for another.`);
}

/** There may be no further connection, and none can be spared. */
export function full(upstream: Upstream): GatewayError {
  const what =
    upstream.transport.kind === 'stdio'
      ? 'already runs as many processes as it may, and all are busy. Repeat the call later, or raise its maximum of processes.'
      : 'cannot be given another session: the gateway has as many as it may, and all are busy. Repeat the call later.';
  return unavailable(upstream, what, { retryAfterMs: 1000 });
}

function unavailable(upstream: Upstream, what: string, options: { retryAfterMs?: number } = {}): GatewayError {
  return new GatewayError('unavailable', `The upstream "${upstream.slug}" ${what}`, options);
}
