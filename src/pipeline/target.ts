import type { DecisionReason } from '../domain/decision.ts';
import type { ErrorReason } from '../domain/errors.ts';
import type { Gateway } from '../domain/gateway.ts';
import { isGatewayGranted, isGranted, type Principal } from '../domain/principal.ts';
import { addressOf, isGateway, type Target } from '../domain/target.ts';
import type { Upstream } from '../domain/upstream.ts';
import type { HotConfig } from '../snapshot/hot-config.ts';

/** Why a caller does not reach what it named. */
export interface TargetRefusal {
  readonly reason: DecisionReason;
  readonly errorReason: ErrorReason;
  readonly message: string;
  /** What it named, where that exists and the caller may know. */
  readonly target?: Target;
}

/** What an address or id leads to for this caller: an upstream, or a gateway. */
export function findTarget(
  config: Pick<HotConfig, 'findUpstream' | 'findGateway' | 'upstreams'>,
  principal: Principal,
  name: string,
): Target | TargetRefusal {
  const target = config.findUpstream(principal.projectId, name) ?? config.findGateway(principal.projectId, name);
  if (target === undefined) {
    // Who may not see everything must not learn which slugs exist.
    return principal.grants === 'all'
      ? {
          reason: 'upstream_not_found',
          errorReason: 'not_found',
          message: unknown(name, findVersions(config, principal, name)),
        }
      : { reason: 'upstream_not_found', errorReason: 'permission_denied', message: withoutGrant(name) };
  }
  const isReachable = isGateway(target) ? isGatewayGranted(principal, target.id) : isGranted(principal, target.id);
  if (!isReachable) {
    return { reason: 'grant', errorReason: 'permission_denied', message: withoutGrant(name), target };
  }
  if (!isGateway(target) && !target.enabled) {
    return { reason: 'upstream_disabled', errorReason: 'permission_denied', message: disabled(name), target };
  }
  return target;
}

export function isRefusal(found: Target | TargetRefusal): found is TargetRefusal {
  return 'errorReason' in found;
}

/** The upstream of a gateway's entry; undefined when it does not exist or is disabled. */
export function findMember(
  config: Pick<HotConfig, 'findUpstream'>,
  gateway: Gateway,
  entry: { readonly slug: string; readonly version: string },
): Upstream | undefined {
  const upstream = config.findUpstream(gateway.projectId, addressOf(entry));
  return upstream?.enabled === true ? upstream : undefined;
}

/** True while the gateway is composed of this upstream, and the upstream is enabled. */
export function isMember(config: Pick<HotConfig, 'findUpstream'>, gateway: Gateway, upstream: Upstream): boolean {
  return gateway.upstreams.some((entry) => findMember(config, gateway, entry)?.id === upstream.id);
}

/** The addresses of the upstreams that are other versions of what was named. */
function findVersions(config: Pick<HotConfig, 'upstreams'>, { projectId }: Principal, name: string): string[] {
  const [slug] = name.split('@', 1);
  return [...config.upstreams(projectId)]
    .filter((upstream) => upstream.slug === slug)
    .map(addressOf)
    .sort();
}

function unknown(name: string, versions: readonly string[]): string {
  const advice = versions.length === 0 ? '' : ` There is '${versions.join("', '")}'.`;
  return `There is no upstream or gateway '${name}' in this project.${advice}`;
}

function withoutGrant(name: string): string {
  return `The credential has no grant for the upstream or gateway '${name}' (or it might not exist).`;
}

function disabled(name: string): string {
  return `The upstream '${name}' is disabled. An operator can enable it with UpdateUpstream.`;
}
