import type { Approval, ApprovalKey, ApprovalRequirement } from '../../src/domain/approval.ts';
import type { ApprovalId, CallId, PolicyId, PrincipalId, ProjectId } from '../../src/domain/ids.ts';
import type { Principal } from '../../src/domain/principal.ts';

/** A moment in Unix milliseconds. */
export const NOW = 1_790_000_000_000;
export const HOUR = 3_600_000;

export const PROJECT = '0199aaaa-0000-7000-8000-00000000000a' as ProjectId;
export const REQUESTER = '0199aaaa-0000-7000-8000-0000000000aa' as PrincipalId;

/** A person with the scope to answer. */
export function person(name: string, change: Partial<Principal> = {}): Principal {
  return {
    kind: 'user',
    id: `0199aaaa-0000-7000-8000-${name.padStart(12, '0')}` as PrincipalId,
    projectId: PROJECT,
    name,
    scopes: new Set(['approvals:decide']),
    grants: 'all',
    teams: [],
    ...change,
  };
}

export const ann = person('a11');
export const bob = person('b0b');
export const cyd = person('c7d');
/** The requester as somebody who may answer. */
export const self = person('5e1f', { id: REQUESTER });

export function requirement(change: Partial<ApprovalRequirement> = {}): ApprovalRequirement {
  return {
    policyId: '0199aaaa-0000-7000-8000-0000000000ff' as PolicyId,
    policySlug: 'payments',
    policyVersion: 3,
    requiredApprovals: 1,
    approverIds: [],
    allowSelfApproval: false,
    ...change,
  };
}

export const key: ApprovalKey = {
  projectId: PROJECT,
  principalId: REQUESTER,
  upstreamSlug: 'bank',
  method: 'tools/call',
  tool: 'pay',
  argumentsDigest: `sha256:${'ab'.repeat(32)}`,
};

export function approval(change: Partial<Approval> = {}): Approval {
  return {
    ...key,
    id: '0199aaaa-0000-7000-8000-000000000001' as ApprovalId,
    state: 'pending',
    callId: '0199aaaa-0000-7000-8000-000000000002' as CallId,
    requester: {
      kind: 'agent',
      name: 'robot',
      apiKeyId: '0199aaaa-0000-7000-8000-000000000003',
      keyPrefix: 'pc_aaaaaaaa',
    },
    argumentsJson: '{"amount":12345678901234567890}',
    argumentsRedacted: false,
    message: 'A human must approve this call.',
    ruleIds: ['payments/large'],
    requirements: [requirement()],
    votes: [],
    expireTime: NOW + HOUR,
    createTime: NOW,
    updateTime: NOW,
    ...change,
  };
}
