import { create } from '@bufbuild/protobuf';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import {
  type Approval as ApprovalMessage,
  ApprovalSchema,
  ApprovalState as StateMessage,
} from '../../gen/portcullis/v1/approval_pb.ts';
import type { Approval, ApprovalRequirement, ApprovalState, ApprovalVote } from '../domain/approval.ts';
import { toPrincipalKindMessage } from './caller-message.ts';

/** The states as the API has them. */
export const STATES: Readonly<Record<ApprovalState, StateMessage>> = {
  pending: StateMessage.PENDING,
  approved: StateMessage.APPROVED,
  denied: StateMessage.DENIED,
  expired: StateMessage.EXPIRED,
  consumed: StateMessage.CONSUMED,
};

/** The approval as the API shows it. */
export function toApprovalMessage(approval: Approval): ApprovalMessage {
  const { kind, name, apiKeyId = '', keyPrefix = '' } = approval.requester;
  return create(ApprovalSchema, {
    id: approval.id,
    projectId: approval.projectId,
    state: STATES[approval.state],
    callId: approval.callId,
    requester: { kind: toPrincipalKindMessage(kind), id: approval.principalId, name, apiKeyId, keyPrefix },
    // Names are as the caller wrote them; Protobuf takes no lone surrogates.
    upstreamSlug: approval.upstreamSlug.toWellFormed(),
    method: approval.method.toWellFormed(),
    tool: approval.tool.toWellFormed(),
    argumentsJson: approval.argumentsJson ?? '',
    argumentsRedacted: approval.argumentsRedacted,
    argumentsDigest: approval.argumentsDigest,
    message: approval.message.toWellFormed(),
    ruleIds: [...approval.ruleIds],
    requirements: approval.requirements.map(toRequirementMessage),
    votes: approval.votes.map(toVoteMessage),
    consumeCallId: approval.consumeCallId ?? '',
    gatewayId: approval.gatewayId ?? '',
    expireTime: timestampFromMs(approval.expireTime),
    createTime: timestampFromMs(approval.createTime),
    updateTime: timestampFromMs(approval.updateTime),
  });
}

function toRequirementMessage(requirement: ApprovalRequirement) {
  const { policyId = '', approverIds, ...rest } = requirement;
  return { ...rest, policyId, approverIds: [...approverIds] };
}

function toVoteMessage({ kind, principalId, name, approved, comment, createTime }: ApprovalVote) {
  const time = timestampFromMs(createTime);
  return { kind: toPrincipalKindMessage(kind), principalId, name, approved, comment, createTime: time };
}
