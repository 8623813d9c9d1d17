import type { Era, Upstream } from '../domain/upstream.ts';

/** How the connections of a transport live. */
export interface ConnectionLife {
  /** A connection without a call for this long is ended, unless somebody listens. */
  readonly idleMs: number;
  /** How long calls may be refused after failures in a row, instead of a new start; 0 = every call tries for itself. */
  readonly longestLockMs: number;
  /** True when the old connection has to be gone before a new one is opened. */
  readonly isExclusive: boolean;
}

/** A session or stream over HTTP without a call for this long is closed; stdio upstreams have a setting for it. */
export const HTTP_IDLE_MS = 5 * 60_000;

/** The life of the connections to an upstream. */
export function connectionLifeOf(upstream: Upstream, httpIdleMs: number): ConnectionLife {
  const { transport } = upstream;
  switch (transport.kind) {
    case 'stdio':
      return { idleMs: transport.idleTimeoutMs, longestLockMs: 30_000, isExclusive: true };
    case 'sse':
      return { idleMs: httpIdleMs, longestLockMs: 0, isExclusive: true };
    case 'streamable_http':
      return { idleMs: httpIdleMs, longestLockMs: 0, isExclusive: false };
  }
}

/** True for a conversation that the upstream keeps a session for, over streamable HTTP. */
export function hasHttpSession(upstream: Upstream, era: Era): boolean {
  return upstream.transport.kind === 'streamable_http' && era === 'legacy';
}
