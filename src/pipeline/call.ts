import type { Approval } from '../domain/approval.ts';
import type { OutcomeStatus } from '../domain/decision.ts';
import { GatewayError } from '../domain/errors.ts';
import { type CallId, newId } from '../domain/ids.ts';
import { hasScope, type Principal, type Scope } from '../domain/principal.ts';
import { isGateway, type Target } from '../domain/target.ts';
import type { Upstream } from '../domain/upstream.ts';
import type { ApprovalDemand } from '../policy/decide.ts';
import { type DecideDeps, decideCall, type Ruling, requireFreshConfig } from './decide-call.ts';
import { type Arrival, createDecision, type GovernedCall } from './decision.ts';
import { findTarget, isMember, isRefusal, type TargetRefusal } from './target.ts';
import type { Usage } from './usage.ts';

/** What the path of a call works with; made once in main. */
export interface CallDeps extends DecideDeps {
  readonly usage: Usage;
}

/** A governed request: an arrival that was admitted to an upstream, with what is asked of it. */
export interface Call extends GovernedCall {
  readonly upstream: Upstream;
  /** Checks the credential once more, for a call that waited; throws as at the beginning. */
  readonly authenticate: () => Principal | Promise<Principal>;
}

/** How a forwarded call ended. */
export interface ForwardEnd {
  readonly status: OutcomeStatus;
  readonly responseBytes: number;
}

/**
 * Sends the call to its upstream, as the call was decided, and the answer to the caller; resolves when both are done. No byte of the
 * answer may leave before `committed` has resolved, where it is given; when it rejects, the caller gets that error instead of the answer.
 */
export type Forward = (call: Call, committed?: Promise<void>) => Promise<ForwardEnd>;

/** Waits for the approval as the policies demand, while the caller stays; returns it as it is then. */
export type WaitForApproval = (approval: Approval, demand: ApprovalDemand) => Promise<Approval>;

/** What a credential needs for a call, one of them. */
export const callScopes: readonly Scope[] = ['tools:call'];

/**
 * The first half of a call's path: may this caller reach this upstream or gateway at all? Needs no body, so strangers' bodies are never
 * read.
 *
 * @throws GatewayError, after the refusal has been recorded
 */
export async function admit(deps: CallDeps, arrival: Arrival, anyOf: readonly Scope[] = callScopes): Promise<Target> {
  const { principal, slug } = arrival;
  requireFreshConfig(deps);
  if (principal.agentState !== undefined && principal.agentState !== 'active') {
    const message = `The agent '${principal.name}' is ${principal.agentState}: all of its calls are denied.`;
    return refuseTarget(deps, arrival, { reason: 'agent_inactive', errorReason: 'permission_denied', message });
  }
  if (!anyOf.some((scope) => hasScope(principal, scope))) {
    const message = `The credential lacks the scope '${anyOf.join("' or '")}'.`;
    return refuseTarget(deps, arrival, { reason: 'scope', errorReason: 'permission_denied', message });
  }
  const found = findTarget(deps.config, principal, slug);
  return isRefusal(found) ? refuseTarget(deps, arrival, found) : found;
}

/**
 * The second half: decide, record, forward, settle. A call that needs approval waits for it where the caller can (`wait`), and is then
 * decided once more. A caller whose call was refused is answered from the ruling.
 *
 * @throws GatewayError `unavailable` when the decision cannot be recorded; then nothing was forwarded, unless the upstream is set to
 *   `before_answer`
 */
export async function runCall(deps: CallDeps, call: Call, forward: Forward, wait?: WaitForApproval): Promise<Ruling> {
  const ruling = await decideCall(deps, call);
  const { decision, committed, approval, demand } = ruling;
  deps.usage.countCall(call.upstream.id, decision.effect);
  const isEarly = decision.effect === 'allow' && call.upstream.decisionCommit === 'before_answer';
  if (!isEarly) {
    await committed;
  }
  if (decision.effect === 'allow') {
    const startTime = performance.now();
    const end = await (isEarly ? forward(call, committed) : forward(call));
    deps.log.settle({
      decisionId: decision.id,
      endTime: Date.now(),
      latencyMicros: Math.round((performance.now() - startTime) * 1000),
      ...end,
    });
    return ruling;
  }
  if (wait === undefined || approval === undefined || demand === undefined || demand.behavior === 'error') {
    return ruling;
  }
  const settled = await wait(approval, demand);
  if (settled.state !== 'approved') {
    return { ...ruling, approval: settled };
  }
  // Much may have changed while the call waited: its credential, its upstream, the policies.
  const principal = await call.authenticate();
  const target = await admit(deps, { ...call, principal });
  return runCall(deps, { ...call, principal, ...routeAgain(deps, call, target) }, forward);
}

/** Where the call goes now; its tool and arguments were settled by what was in force when it came. */
function routeAgain(deps: CallDeps, call: Call, target: Target): Pick<Call, 'upstream' | 'gateway'> {
  if (target.id === call.upstream.id && !isGateway(target)) {
    return { upstream: target };
  }
  const upstream = deps.config.findUpstream(call.principal.projectId, call.upstream.id);
  const isSame = target.id === call.gateway?.id && target.revision === call.gateway.revision;
  if (isSame && upstream !== undefined && isMember(deps.config, call.gateway, upstream)) {
    return { upstream, gateway: call.gateway };
  }
  throw new GatewayError(
    'failed_precondition',
    'The upstream or gateway was replaced while the call waited. Make the call again.',
  );
}

/** Records that a caller was turned away, and throws why: a GatewayError with the id of the Decision. */
export async function refuseTarget(deps: CallDeps, arrival: Arrival, refusal: TargetRefusal): Promise<never> {
  const { reason, errorReason, message, target } = refusal;
  const call =
    target === undefined
      ? arrival
      : { ...arrival, ...(isGateway(target) ? { gateway: target } : { upstream: target }) };
  const decision = createDecision(
    newId<CallId>(),
    Date.now(),
    call,
    { effect: 'deny', reason, ruleIds: [], message },
    {},
  );
  await deps.log.append(decision);
  throw new GatewayError(errorReason, message, { metadata: { call_id: decision.id } });
}
