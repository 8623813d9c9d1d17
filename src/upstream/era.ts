import type { Era, Upstream } from '../domain/upstream.ts';
import type { OpenConnection } from './connections.ts';
import { type Discovery, discoverOverHttp, discoverOverStdio, isModern, takesSessions } from './discover.ts';
import type { StreamableClient } from './streamable.ts';

/** Which eras an upstream speaks; undefined = not known. */
export interface Eras {
  readonly modern: boolean | undefined;
  readonly legacy: boolean | undefined;
}

/** The era to speak with an upstream for a client: the client's own where the upstream speaks it, or may speak it. */
export function pickEra(eras: Eras, clientEra: Era): Era {
  if (clientEra === 'modern') {
    return eras.modern === true ? 'modern' : 'legacy';
  }
  return eras.legacy === true || eras.modern !== true ? 'legacy' : 'modern';
}

/** What is known of the eras of upstreams, set by the operator or found out. */
export interface EraBook {
  /** What is known now, without asking. */
  erasOf(upstream: Upstream): Eras;
  /** What is known, or what the upstream says when asked; throws, and remembers nothing, when it cannot be reached. */
  probe(upstream: Upstream): Promise<Eras>;
  /** Adds what an exchange has shown. */
  learn(upstream: Upstream, facts: Partial<Eras>): void;
  /** Drops what was found out, so that the next probe asks again: after a failure, a change, or to be sure. */
  forget(upstreamId: string): void;
}

export interface EraBookDeps {
  readonly client: StreamableClient;
  readonly openConnection: OpenConnection;
  readonly now?: () => number;
}

interface Entry {
  readonly revision: number;
  readonly eras: Eras;
  readonly expireTime: number;
}

const UNKNOWN: Eras = { modern: undefined, legacy: undefined };
const ONLY_MODERN: Eras = { modern: true, legacy: false };
const ONLY_LEGACY: Eras = { modern: false, legacy: true };

/** An upstream may be replaced by a modern one behind the same URL, so this is asked again. */
const NOT_MODERN_MS = 10 * 60_000;

/** Makes an empty book. */
export function createEraBook(deps: EraBookDeps): EraBook {
  const { client, openConnection, now = Date.now } = deps;
  const entries = new Map<string, Entry>();
  const probes = new Map<string, Promise<Eras>>();

  const erasOf = (upstream: Upstream): Eras => {
    if (upstream.era !== undefined) {
      return upstream.era === 'modern' ? ONLY_MODERN : ONLY_LEGACY;
    }
    if (upstream.transport.kind === 'sse') {
      return ONLY_LEGACY; // the transport ended before the modern era began
    }
    const entry = entries.get(upstream.id);
    return entry === undefined || entry.revision !== upstream.revision || entry.expireTime < now()
      ? UNKNOWN
      : entry.eras;
  };

  const remember = (upstream: Upstream, eras: Eras): Eras => {
    const expireTime = eras.modern === true ? Number.POSITIVE_INFINITY : now() + NOT_MODERN_MS;
    entries.set(upstream.id, { revision: upstream.revision, eras, expireTime });
    return eras;
  };

  const ask = async (upstream: Upstream): Promise<Eras> => {
    const discovery =
      upstream.transport.kind === 'stdio'
        ? await discoverOverStdio(openConnection, upstream)
        : await discoverOverHttp(client, upstream);
    if (!discovery.isModern) {
      return discovery.isCertain ? remember(upstream, ONLY_LEGACY) : ONLY_LEGACY;
    }
    return remember(upstream, { modern: true, legacy: await isLegacyToo(upstream, discovery) });
  };

  /** Undefined = not known: a process is not started once more to find out, and a client of its sessions is served in any case. */
  const isLegacyToo = async (upstream: Upstream, { versions }: Discovery): Promise<boolean | undefined> => {
    if (versions.some((version) => !isModern(version))) {
      return true;
    }
    return upstream.transport.kind === 'streamable_http'
      ? takesSessions(client, upstream).catch(() => undefined)
      : undefined;
  };

  const probe = (upstream: Upstream): Promise<Eras> => {
    const known = erasOf(upstream);
    if (known.modern !== undefined) {
      return Promise.resolve(known);
    }
    const key = `${upstream.id}:${upstream.revision}`;
    let asking = probes.get(key);
    if (asking === undefined) {
      asking = ask(upstream).finally(() => probes.delete(key));
      probes.set(key, asking);
    }
    return asking;
  };

  const learn = (upstream: Upstream, facts: Partial<Eras>): void => {
    if (upstream.era === undefined) {
      remember(upstream, { ...erasOf(upstream), ...facts });
    }
  };

  return { erasOf, probe, learn, forget: (upstreamId) => void entries.delete(upstreamId) };
}
