import type { buildConnector, Client as UndiciClient, Pool as UndiciPool } from 'undici';
import { GatewayError } from '../domain/errors.ts';
import type { Upstream } from '../domain/upstream.ts';
import type { NetworkGuard } from './network-guard.ts';
import { Client, Pool } from './undici.ts';

/** Where the requests of one upstream go, worked out once per revision. */
export interface Target {
  readonly pool: UndiciPool;
  /** Scheme, host and port. */
  readonly origin: string;
  /** Path and query of the upstream's URL. */
  readonly path: string;
  /** Exchanges in flight on `pool`, counted by who dispatches; never more than `maxExchanges`. */
  active: number;
  readonly maxExchanges: number;
}

/** Keep-alive connections to HTTP upstreams. */
export interface UpstreamPools {
  /** The pool and path of an upstream; throws `internal` for an upstream without a URL. */
  targetOf(upstream: Upstream): Target;
  /** A connection of its own for a stream that stays open, so that streams do not take the place of calls. */
  openClient(upstream: Upstream): UndiciClient;
  /** Ends a connection made by `openClient` at once. */
  endClient(client: UndiciClient): void;
  /** Ends the connections of an upstream after their exchanges. */
  forget(upstreamId: string): void;
  /** Ends all connections at once; unfinished exchanges fail. */
  close(): Promise<void>;
}

export interface UpstreamPoolsOptions {
  readonly guard: NetworkGuard;
  /** Connections, and so exchanges at once, per upstream. */
  readonly maxConnections?: number;
  /** A pool that was not used for this long is dropped. */
  readonly idleMs?: number;
}

interface Entry extends Target {
  readonly revision: number;
  readonly connect: buildConnector.connector;
  used: boolean;
}

const CONNECT_TIMEOUT_MS = 10_000;

/** Makes the pools; each upstream gets its own, even when two share an origin, so that one cannot use up the other's connections. */
export function createUpstreamPools(options: UpstreamPoolsOptions): UpstreamPools {
  const { guard, maxConnections = 1024, idleMs = 60_000 } = options;
  const entries = new Map<string, Entry>();
  const clients = new Set<UndiciClient>();

  const forget = (upstreamId: string): void => {
    const entry = entries.get(upstreamId);
    entries.delete(upstreamId);
    void entry?.pool.close();
  };

  const entryOf = (upstream: Upstream): Entry => {
    const entry = entries.get(upstream.id);
    if (entry !== undefined && entry.revision === upstream.revision) {
      entry.used = true;
      return entry;
    }
    forget(upstream.id);
    const created = openEntry(guard, upstream, maxConnections);
    entries.set(upstream.id, created);
    return created;
  };

  const openClient = (upstream: Upstream): UndiciClient => {
    const { origin, connect } = entryOf(upstream);
    const client = new Client(origin, { connect, pipelining: 1 });
    clients.add(client);
    return client;
  };

  const endClient = (client: UndiciClient): void => {
    clients.delete(client);
    // Not at once: the caller may be inside the client's parser.
    queueMicrotask(() => void client.destroy());
  };

  const sweep = setInterval(() => {
    for (const [upstreamId, entry] of entries) {
      if (!entry.used && entry.active === 0) {
        forget(upstreamId);
      }
      entry.used = false;
    }
  }, idleMs).unref();

  const close = async (): Promise<void> => {
    clearInterval(sweep);
    const open = [...[...entries.values()].map((entry) => entry.pool), ...clients];
    entries.clear();
    clients.clear();
    await Promise.all(open.map((dispatcher) => dispatcher.destroy()));
  };

  return { targetOf: entryOf, openClient, endClient, forget, close };
}

function openEntry(guard: NetworkGuard, upstream: Upstream, maxConnections: number): Entry {
  const url = urlOf(upstream);
  const connect = guard.connector(Math.min(CONNECT_TIMEOUT_MS, upstream.timeoutMs));
  return {
    pool: new Pool(url.origin, { connect, connections: maxConnections, pipelining: 1 }),
    origin: url.origin,
    path: url.pathname + url.search,
    active: 0,
    maxExchanges: maxConnections,
    revision: upstream.revision,
    connect,
    used: true,
  };
}

function urlOf(upstream: Upstream): URL {
  if (upstream.transport.kind === 'stdio') {
    throw new GatewayError('internal', `The upstream "${upstream.slug}" is a local process and has no URL.`);
  }
  return new URL(upstream.transport.url);
}
