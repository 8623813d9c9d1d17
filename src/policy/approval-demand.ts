import type { ApprovalRequirement } from '../domain/approval.ts';
import { type ApprovalBehavior, type ApprovalSettings, defaultApprovalSettings } from '../domain/policy.ts';
import type { ApprovalDemand } from './decide.ts';
import { policiesOf, type RuleResult } from './rule-result.ts';

/** What a project demands whose default effect is REQUIRE_APPROVAL. */
export const defaultDemand: ApprovalDemand = {
  requirements: [
    {
      policySlug: '',
      policyVersion: 0,
      requiredApprovals: defaultApprovalSettings.requiredApprovals,
      approverIds: defaultApprovalSettings.approverIds,
      allowSelfApproval: defaultApprovalSettings.allowSelfApproval,
    },
  ],
  behavior: defaultApprovalSettings.behavior,
  expireAfterMs: defaultApprovalSettings.expireAfterMs,
  holdTimeoutMs: defaultApprovalSettings.holdTimeoutMs,
};

/** What the policies of a result demand together: all of their requirements, the shortest times, the plainest behavior. */
export function demandOf(result: RuleResult): ApprovalDemand {
  const policies = policiesOf(result);
  const settings = policies.map(({ approval }) => approval);
  return {
    requirements: policies.map(({ requirement }) => requirement),
    behavior: plainestOf(settings),
    expireAfterMs: Math.min(...settings.map(({ expireAfterMs }) => expireAfterMs)),
    holdTimeoutMs: Math.min(...settings.map(({ holdTimeoutMs }) => holdTimeoutMs)),
  };
}

const behaviors: readonly ApprovalBehavior[] = ['error', 'elicit', 'hold'];

/** The first of error, elicit and hold that one of the policies wants. */
function plainestOf(settings: readonly ApprovalSettings[]): ApprovalBehavior {
  return behaviors.find((behavior) => settings.some((wanted) => wanted.behavior === behavior)) ?? 'error';
}

/** True when the approval was given to exactly what is demanded: the same policies in the same versions. */
export function isMetBy(
  { requirements }: ApprovalDemand,
  approved: readonly ApprovalRequirement[] | undefined,
): boolean {
  return (
    approved !== undefined &&
    approved.length === requirements.length &&
    requirements.every(({ policyId, policyVersion }) =>
      approved.some((given) => given.policyId === policyId && given.policyVersion === policyVersion),
    )
  );
}
