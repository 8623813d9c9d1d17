import type { ApprovalId, CallId, GatewayId, PolicyId, PrincipalId, ProjectId } from './ids.ts';

export type ApprovalState = 'pending' | 'approved' | 'denied' | 'expired' | 'consumed';

/** What one policy (or the project's default effect, without an id) demands of an approval. */
export interface ApprovalRequirement {
  readonly policyId?: PolicyId;
  /** Empty for the project's default effect. */
  readonly policySlug: string;
  /** 0 for the project's default effect. */
  readonly policyVersion: number;
  readonly requiredApprovals: number;
  /** Empty = everybody with the scope `approvals:decide`. */
  readonly approverIds: readonly string[];
  readonly allowSelfApproval: boolean;
}

/** One principal's answer. */
export interface ApprovalVote {
  readonly kind: 'user' | 'agent';
  readonly principalId: PrincipalId;
  readonly name: string;
  readonly approved: boolean;
  readonly comment: string;
  readonly createTime: number;
}

/** What a call and its approval must have in common. */
export interface ApprovalKey {
  readonly projectId: ProjectId;
  readonly principalId: PrincipalId;
  /** Address of the upstream; empty for an Authorize that names none. */
  readonly upstreamSlug: string;
  /** The gateway through which the call comes; absent = none. */
  readonly gatewayId?: GatewayId;
  readonly method: string;
  /** Empty for a method that names none. */
  readonly tool: string;
  /** Empty for a call without arguments. */
  readonly argumentsDigest: string;
}

/** A human's answer to a call that was decided REQUIRE_APPROVAL; good for one call. */
export interface Approval extends ApprovalKey {
  readonly id: ApprovalId;
  /** As stored: one that is past `expireTime` and was not answered or used reads as `expired`. */
  readonly state: ApprovalState;
  /** The call that asked for it first. */
  readonly callId: CallId;
  readonly requester: {
    readonly kind: 'user' | 'agent';
    readonly name: string;
    readonly apiKeyId?: string;
    readonly keyPrefix?: string;
    /** The User whose credential asked in the requester's name. */
    readonly askedById?: PrincipalId;
  };
  /** JSON text, masked, at most 64 KiB; absent when the call has none or the project records none. */
  readonly argumentsJson?: string;
  readonly argumentsRedacted: boolean;
  /** Why approval is needed, as the caller was told. */
  readonly message: string;
  readonly ruleIds: readonly string[];
  readonly requirements: readonly ApprovalRequirement[];
  readonly votes: readonly ApprovalVote[];
  readonly consumeCallId?: CallId;
  readonly expireTime: number;
  readonly createTime: number;
  readonly updateTime: number;
}
