import { type Gateway, type GatewayUpstream, prefixOf } from '../domain/gateway.ts';
import { addressOf, isGateway, type Target } from '../domain/target.ts';
import type { Upstream } from '../domain/upstream.ts';
import type { HotConfig } from '../snapshot/hot-config.ts';
import type { CompositionProblem, Member } from './composition.ts';

/** Who belongs to a target; the same object until one of them changes. */
export interface Seats {
  readonly members: readonly Member[];
  /** Upstreams that do not exist or are disabled. */
  readonly missing: readonly CompositionProblem[];
}

/** Finds out who belongs to targets. */
export interface Seating {
  seatsOf(target: Target): Seats;
  close(): void;
}

interface Seated {
  readonly seats: Seats;
  readonly upstreams: readonly (Upstream | undefined)[];
  version: number;
}

/** Makes it; as long as no upstream changes it looks nothing up. */
export function createSeating(config: Pick<HotConfig, 'findUpstream' | 'onUpstreamChange'>): Seating {
  const known = new WeakMap<Target, Seated>();
  let version = 0;
  const stopFollowing = config.onUpstreamChange(() => {
    version++;
  });

  const seat = (target: Target): Seated => {
    if (!isGateway(target)) {
      return { seats: alone(target), upstreams: [target], version };
    }
    const upstreams = target.upstreams.map((entry) => config.findUpstream(target.projectId, addressOf(entry)));
    return { seats: seatsIn(target, upstreams), upstreams, version };
  };

  return {
    seatsOf(target) {
      const before = known.get(target);
      if (before?.version === version) {
        return before.seats;
      }
      const seated = seat(target);
      if (before !== undefined && before.upstreams.every((upstream, index) => upstream === seated.upstreams[index])) {
        before.version = version;
        return before.seats;
      }
      known.set(target, seated);
      return seated.seats;
    },
    close: stopFollowing,
  };
}

function alone(upstream: Upstream): Seats {
  const { slug, version } = upstream;
  const entry = { slug, version, tools: {} };
  return { members: [{ entry, upstream, timeoutMs: upstream.timeoutMs, prefix: '' }], missing: [] };
}

function seatsIn(gateway: Gateway, upstreams: readonly (Upstream | undefined)[]): Seats {
  const members: Member[] = [];
  const missing: CompositionProblem[] = [];
  for (const [index, entry] of gateway.upstreams.entries()) {
    const upstream = upstreams[index];
    if (upstream?.enabled === true) {
      members.push(memberOf(gateway, entry, upstream));
    } else {
      missing.push(problemOf(entry, upstream));
    }
  }
  return { members, missing };
}

function memberOf(gateway: Gateway, entry: GatewayUpstream, upstream: Upstream): Member {
  return { entry, upstream, timeoutMs: entry.timeoutMs ?? upstream.timeoutMs, prefix: prefixOf(gateway, entry) };
}

function problemOf(entry: GatewayUpstream, upstream: Upstream | undefined): CompositionProblem {
  const address = addressOf(entry);
  const state = upstream === undefined ? 'does not exist' : 'is disabled';
  return { upstream: address, name: undefined, message: `The upstream '${address}' ${state}.` };
}
