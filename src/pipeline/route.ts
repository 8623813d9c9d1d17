import type { Composition } from '../catalogue/composition.ts';
import type { Compositions } from '../catalogue/compositions.ts';
import type { Viewer } from '../catalogue/offer.ts';
import type { Decision } from '../domain/decision.ts';
import { GatewayError } from '../domain/errors.ts';
import type { Gateway } from '../domain/gateway.ts';
import { type CallId, newId } from '../domain/ids.ts';
import { addressOf, isGateway, type Target } from '../domain/target.ts';
import { admit, type CallDeps, refuseTarget } from './call.ts';
import { describeCall, recordedFields } from './call-arguments.ts';
import { type Arrival, createDecision, type GovernedCall } from './decision.ts';

/** What was looked for in a composition, and where. */
export interface Look<Found> {
  /** Undefined = nothing of this name is offered. */
  readonly found: Found | undefined;
  readonly composition: Composition;
}

/** Looks for what a call names: in what is known, which need not be waited for, and only then in what upstreams offer now. */
export async function look<Found>(
  compositions: Pick<Compositions, 'of' | 'peek'>,
  target: Target,
  viewer: Viewer,
  find: (composition: Composition) => Found | undefined,
): Promise<Look<Found>> {
  const known = compositions.peek(target, viewer);
  const found = known && find(known);
  if (known !== undefined && found !== undefined) {
    return { found, composition: known };
  }
  const composition = await compositions.of(target, viewer);
  return { found: find(composition), composition };
}

/**
 * Admits the caller to a target of this kind; what has the name but is of the other kind is not there.
 *
 * @throws GatewayError, after the refusal has been recorded
 */
export async function admitTo(deps: CallDeps, arrival: Arrival, kind: 'upstream' | 'gateway'): Promise<Target> {
  const target = await admit(deps, arrival);
  if (isGateway(target) === (kind === 'gateway')) {
    return target;
  }
  const message = `There is no ${kind} '${arrival.slug}' in this project.`;
  return refuseTarget(deps, arrival, { reason: 'upstream_not_found', errorReason: 'not_found', message });
}

/** A call of a name that a gateway does not offer. */
export type UnknownCall = Arrival &
  Partial<Pick<GovernedCall, 'era' | 'arguments' | 'exactText' | 'session' | 'requestBytes'>>;

/**
 * Records that a gateway offers nothing of this name; `noun` is what it would be, such as `tool`.
 *
 * @throws GatewayError `unavailable` when the decision cannot be recorded
 */
export async function refuseUnknown(
  deps: CallDeps,
  call: UnknownCall,
  gateway: Gateway,
  name: string,
  noun = 'tool',
): Promise<Decision> {
  const project = deps.config.getProject(call.principal.projectId);
  const described = describeCall({ arguments: undefined, ...call }, project);
  const message = `The gateway '${addressOf(gateway)}' offers no ${noun} of this name.`;
  const reasons = { effect: 'deny', reason: 'not_offered', ruleIds: [], message } as const;
  const id = newId<CallId>();
  const decision = createDecision(id, Date.now(), { ...call, gateway, tool: name }, reasons, recordedFields(described));
  await deps.log.append(decision);
  return decision;
}

/** The error for a caller that does not speak JSON-RPC. */
export function notOffered({ id, message }: Decision, name: string, noun = 'tool'): GatewayError {
  return new GatewayError('not_found', message, { metadata: { call_id: id, resource: noun, name } });
}
