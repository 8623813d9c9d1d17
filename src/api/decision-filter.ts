import type { DecisionFilter as FilterMessage } from '../../gen/portcullis/v1/decision_service_pb.ts';
import type { Decision, Effect } from '../domain/decision.ts';
import { GatewayError } from '../domain/errors.ts';
import type { GatewayId, UpstreamId } from '../domain/ids.ts';
import { isGatewayGranted, isGranted, type Principal } from '../domain/principal.ts';
import { fromEffectMessage } from './effect-message.ts';

/** Which decisions are wanted; what is undefined does not matter. */
export interface DecisionFilter {
  readonly effect: Effect | undefined;
  readonly principalId: string | undefined;
  readonly upstreamId: string | undefined;
  readonly tool: string | undefined;
  readonly gatewayId: string | undefined;
}

/** The filter of a request; none = all decisions. */
export function fromFilterMessage(message: FilterMessage | undefined): DecisionFilter {
  return {
    effect: fromEffectMessage(message?.effect),
    principalId: message?.principalId || undefined,
    upstreamId: message?.upstreamId || undefined,
    tool: message?.tool || undefined,
    gatewayId: message?.gatewayId || undefined,
  };
}

/** The filter in a fixed order, to bind tokens and cursors to it. */
export function scopeOfFilter(filter: DecisionFilter): (string | undefined)[] {
  const { effect, principalId, upstreamId, tool, gatewayId } = filter;
  // Cursors of the time before there were gateways stay good.
  return [effect, principalId, upstreamId, tool, ...(gatewayId === undefined ? [] : [gatewayId])];
}

/** True when the decision is wanted. */
export function matchesFilter(filter: DecisionFilter, decision: Decision): boolean {
  return (
    (filter.effect === undefined || filter.effect === decision.effect) &&
    (filter.principalId === undefined || filter.principalId === decision.principalId) &&
    (filter.upstreamId === undefined || filter.upstreamId === decision.upstreamId) &&
    (filter.tool === undefined || filter.tool === decision.tool) &&
    (filter.gatewayId === undefined || filter.gatewayId === decision.gatewayId)
  );
}

/** Throws `permission_denied` when the filter would show decisions about upstreams and gateways that the credential's grants do not cover. */
export function checkVisible(caller: Principal, filter: DecisionFilter): void {
  if (!isVisible(caller, filter)) {
    const message =
      'The grants of the credential name upstreams or gateways. Set filter.upstream_id or filter.gateway_id to one of them to see its decisions.';
    throw new GatewayError('permission_denied', message);
  }
}

/** True when the credential may see decisions about this upstream or through this gateway; undefined = none in particular. */
export function isVisible(
  caller: Principal,
  { upstreamId, gatewayId }: { readonly upstreamId?: string | undefined; readonly gatewayId?: string | undefined },
): boolean {
  // Any text; a grant holds it only if it is the id of an upstream or a gateway.
  return (
    caller.grants === 'all' ||
    (upstreamId !== undefined && isGranted(caller, upstreamId as UpstreamId)) ||
    (gatewayId !== undefined && isGatewayGranted(caller, gatewayId as GatewayId))
  );
}
