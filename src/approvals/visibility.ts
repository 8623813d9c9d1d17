import type { ApprovalVisibility } from '../db/approvals.ts';
import type { Approval } from '../domain/approval.ts';

/** True when who sees this much sees the approval; undefined = everything. */
export function isVisible(visibility: ApprovalVisibility | undefined, approval: Approval): boolean {
  return (
    visibility === undefined ||
    approval.principalId === visibility.requesterId ||
    visibility.upstreamSlugs.includes(approval.upstreamSlug) ||
    (approval.gatewayId !== undefined && visibility.gatewayIds?.includes(approval.gatewayId) === true)
  );
}
