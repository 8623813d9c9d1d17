import type { Approval, ApprovalRequirement, ApprovalState, ApprovalVote } from '../domain/approval.ts';
import { GatewayError } from '../domain/errors.ts';
import type { Principal } from '../domain/principal.ts';
import type { Answer } from './approvals.ts';

/** Who answers. */
export type Voter = Pick<Principal, 'kind' | 'id' | 'name'>;

/** The approval as it reads at a time: what was not answered or not used before its end has expired. */
export function approvalAt<Given extends Approval>(approval: Given, now: number): Given {
  const isOpen = approval.state === 'pending' || approval.state === 'approved';
  return isOpen && approval.expireTime <= now ? { ...approval, state: 'expired' } : approval;
}

/**
 * The approval after an answer; the same object when the answer repeats what this voter said before. Throws `permission_denied` for
 * who may not answer, `failed_precondition` when it does not wait for an answer any more.
 */
export function castVote<Given extends Approval>(approval: Given, voter: Voter, answer: Answer, now: number): Given {
  const { state, votes } = approvalAt(approval, now);
  checkVoter(approval, voter);
  const earlier = votes.findLast(({ principalId }) => principalId === voter.id);
  if (earlier?.approved === answer.approve) return approval;
  if (state !== 'pending') throw notPending(approval, state);
  const vote: ApprovalVote = {
    kind: voter.kind,
    principalId: voter.id,
    name: voter.name,
    approved: answer.approve,
    comment: answer.comment,
    createTime: now,
  };
  return withVote(approval, vote);
}

/** The approval with one more vote, and the state that it leads to: one denial denies. */
export function withVote<Given extends Approval>(approval: Given, vote: ApprovalVote): Given {
  const votes = [...approval.votes, vote];
  const isMet = approval.requirements.every((requirement) => isRequirementMet(approval, requirement, votes));
  const state: ApprovalState = vote.approved ? (isMet ? 'approved' : 'pending') : 'denied';
  return { ...approval, votes, state };
}

/** True when enough different principals agreed whose agreement counts for the requirement. */
function isRequirementMet(
  approval: Approval,
  requirement: ApprovalRequirement,
  votes: readonly ApprovalVote[],
): boolean {
  const approvers = new Set(
    votes
      .filter(({ approved, principalId }) => approved && mayAnswer(approval, requirement, principalId))
      .map(({ principalId }) => principalId),
  );
  // Nothing is approved by nobody, whatever the requirement says.
  return approvers.size >= Math.max(1, requirement.requiredApprovals);
}

/** True for who made the call, and for who asked about it in an agent's name. */
function isOwnRequest({ principalId, requester }: Approval, voterId: string): boolean {
  return voterId === principalId || voterId === requester.askedById;
}

function mayAnswer(approval: Approval, requirement: ApprovalRequirement, voterId: string): boolean {
  const { approverIds, allowSelfApproval } = requirement;
  return (
    (approverIds.length === 0 || approverIds.includes(voterId)) &&
    (allowSelfApproval || !isOwnRequest(approval, voterId))
  );
}

function checkVoter(approval: Approval, voter: Voter): void {
  if (approval.requirements.some((requirement) => mayAnswer(approval, requirement, voter.id))) return;
  const message = isOwnRequest(approval, voter.id)
    ? 'Nobody may answer for an own call here. Ask somebody else who may answer.'
    : 'The caller is not among those who may answer for this call. The requirements of the approval name them.';
  throw new GatewayError('permission_denied', message, { metadata: { id: approval.id } });
}

const SETTLED: Readonly<Record<Exclude<ApprovalState, 'pending'>, string>> = {
  approved: 'was approved already',
  denied: 'was denied already',
  expired: 'has expired',
  consumed: 'was approved and used already',
};

function notPending(approval: Approval, state: Exclude<ApprovalState, 'pending'>): GatewayError {
  const message = `The approval ${SETTLED[state]}, so that it takes no more answers.`;
  return new GatewayError('failed_precondition', message, { metadata: { id: approval.id, state } });
}
