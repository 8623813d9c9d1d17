import type { Approval, ApprovalRequirement, ApprovalVote } from '../domain/approval.ts';

/** What happened to an approval, as the `type` of a webhook's payload. */
type ApprovalEventType =
  | 'approval.created'
  /** Somebody agreed, and more approvers must. */
  | 'approval.voted'
  | 'approval.approved'
  | 'approval.denied'
  | 'approval.expired'
  | 'approval.consumed'
  /** Consumed for a call that did not need it: approved again. */
  | 'approval.released';

/**
 * The payload that tells of a change, as Standard Webhooks has it (https://www.standardwebhooks.com): `data` is the Approval as the
 * API's JSON shows it. `before` is absent for a new one.
 */
export function approvalEvent(before: Approval | undefined, after: Approval, now: number): string {
  return JSON.stringify({ type: typeOf(before, after), timestamp: toTime(now), data: toJson(after) });
}

function typeOf(before: Approval | undefined, after: Approval): ApprovalEventType {
  if (before === undefined) return 'approval.created';
  if (before.state === after.state || after.state === 'pending') return 'approval.voted';
  return before.state === 'consumed' ? 'approval.released' : `approval.${after.state}`;
}

function toJson(approval: Approval) {
  const { kind, name, apiKeyId, keyPrefix } = approval.requester;
  return {
    id: approval.id,
    projectId: approval.projectId,
    state: `APPROVAL_STATE_${approval.state.toUpperCase()}`,
    callId: approval.callId,
    requester: { kind: toKind(kind), id: approval.principalId, name, apiKeyId, keyPrefix },
    upstreamSlug: approval.upstreamSlug.toWellFormed(),
    gatewayId: approval.gatewayId,
    method: approval.method.toWellFormed(),
    tool: approval.tool.toWellFormed(),
    argumentsJson: approval.argumentsJson,
    argumentsRedacted: approval.argumentsRedacted,
    argumentsDigest: approval.argumentsDigest,
    message: approval.message.toWellFormed(),
    ruleIds: approval.ruleIds,
    requirements: approval.requirements.map(toRequirement),
    votes: approval.votes.map(toVote),
    consumeCallId: approval.consumeCallId,
    expireTime: toTime(approval.expireTime),
    createTime: toTime(approval.createTime),
    updateTime: toTime(approval.updateTime),
  };
}

function toRequirement(requirement: ApprovalRequirement) {
  const { policyId, policySlug, policyVersion, requiredApprovals, approverIds, allowSelfApproval } = requirement;
  return { policyId, policySlug, policyVersion, requiredApprovals, approverIds, allowSelfApproval };
}

function toVote({ kind, principalId, name, approved, comment, createTime }: ApprovalVote) {
  return { kind: toKind(kind), principalId, name, approved, comment, createTime: toTime(createTime) };
}

function toKind(kind: 'user' | 'agent'): string {
  return `PRINCIPAL_KIND_${kind.toUpperCase()}`;
}

/** RFC 3339. */
function toTime(milliseconds: number): string {
  return new Date(milliseconds).toISOString();
}
