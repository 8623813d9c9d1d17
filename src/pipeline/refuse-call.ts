import type { Approval } from '../domain/approval.ts';
import type { Decision } from '../domain/decision.ts';
import { type CallId, newId } from '../domain/ids.ts';
import type { Call, CallDeps } from './call.ts';
import { describeCall, recordedFields } from './call-arguments.ts';
import { createDecision } from './decision.ts';

/**
 * Records that a call is refused for what became of its approval. The rules are not asked: all they could do is to ask for another one.
 *
 * @throws GatewayError `unavailable` when the decision cannot be recorded
 */
export async function refuseCall(deps: CallDeps, call: Call, approval: Approval, message: string): Promise<Decision> {
  const project = deps.config.getProject(call.principal.projectId);
  const reasons = { effect: 'deny', reason: 'approval', ruleIds: approval.ruleIds, message } as const;
  const decision = createDecision(newId<CallId>(), Date.now(), call, reasons, {
    ...recordedFields(describeCall(call, project)),
    approvalId: approval.id,
  });
  deps.usage.countCall(call.upstream.id, decision.effect);
  await deps.log.append(decision);
  return decision;
}
