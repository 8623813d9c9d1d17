import type { DecisionFilter as FilterMessage } from '../../gen/portcullis/v1/decision_service_pb.ts';
import type { Decision, Effect } from '../domain/decision.ts';
import { GatewayError } from '../domain/errors.ts';
import type { UpstreamId } from '../domain/ids.ts';
import { isGranted, type Principal } from '../domain/principal.ts';
import { fromEffectMessage } from './effect-message.ts';

/** Which decisions are wanted; what is undefined does not matter. */
export interface DecisionFilter {
  readonly effect: Effect | undefined;
  readonly principalId: string | undefined;
  readonly upstreamId: string | undefined;
  readonly tool: string | undefined;
}

/** The filter of a request; none = all decisions. */
export function fromFilterMessage(message: FilterMessage | undefined): DecisionFilter {
  return {
    effect: fromEffectMessage(message?.effect),
    principalId: message?.principalId || undefined,
    upstreamId: message?.upstreamId || undefined,
    tool: message?.tool || undefined,
  };
}

/** The filter in a fixed order, to bind tokens and cursors to it. */
export function scopeOfFilter({ effect, principalId, upstreamId, tool }: DecisionFilter): (string | undefined)[] {
  return [effect, principalId, upstreamId, tool];
}

/** True when the decision is wanted. */
export function matchesFilter(filter: DecisionFilter, decision: Decision): boolean {
  return (
    (filter.effect === undefined || filter.effect === decision.effect) &&
    (filter.principalId === undefined || filter.principalId === decision.principalId) &&
    (filter.upstreamId === undefined || filter.upstreamId === decision.upstreamId) &&
    (filter.tool === undefined || filter.tool === decision.tool)
  );
}

/** Throws `permission_denied` when the filter would show decisions about upstreams that the credential's grants do not cover. */
export function checkVisible(caller: Principal, filter: DecisionFilter): void {
  if (!isVisible(caller, filter.upstreamId)) {
    const message =
      'The grants of the credential name upstreams. Set filter.upstream_id to one of them to see its decisions.';
    throw new GatewayError('permission_denied', message);
  }
}

/** True when the credential may see decisions about this upstream; undefined = about none in particular. */
export function isVisible(caller: Principal, upstreamId: string | undefined): boolean {
  // Any text; a grant holds it only if it is the id of an upstream.
  return caller.grants === 'all' || (upstreamId !== undefined && isGranted(caller, upstreamId as UpstreamId));
}
