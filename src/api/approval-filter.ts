import type { ApprovalFilter as FilterMessage } from '../../gen/portcullis/v1/approval_pb.ts';
import type { ApprovalFilter, ApprovalVisibility } from '../db/approvals.ts';
import type { ProjectId } from '../domain/ids.ts';
import { hasScope, isGranted, type Principal } from '../domain/principal.ts';
import { addressOf } from '../domain/target.ts';
import type { Upstream } from '../domain/upstream.ts';
import { STATES } from './approval-message.ts';
import { fromEnumMessage } from './enum-message.ts';

/** What a request may choose approvals by. */
export type RequestedFilter = Pick<ApprovalFilter, 'state' | 'requesterId' | 'tool'>;

/** The filter of a request; none = all approvals. */
export function fromFilterMessage(message: FilterMessage | undefined): RequestedFilter {
  return {
    state: fromEnumMessage(STATES, message?.state),
    requesterId: message?.requesterId || undefined,
    tool: message?.tool || undefined,
  };
}

/** The filter in a fixed order, to bind tokens and cursors to it. */
export function scopeOfFilter({ state, requesterId, tool }: RequestedFilter): (string | undefined)[] {
  return [state, requesterId, tool];
}

/**
 * What the caller sees of a project's approvals; undefined = all. Own calls always, the others with `gateway:read` or
 * `approvals:decide`, but only those to upstreams, or through gateways, that the credential's grants cover.
 */
export function visibilityOf(
  upstreams: (projectId: ProjectId) => Iterable<Upstream>,
  caller: Principal,
  projectId: ProjectId,
): ApprovalVisibility | undefined {
  const seesProject = hasScope(caller, 'gateway:read') || hasScope(caller, 'approvals:decide');
  if (!seesProject) return { requesterId: caller.id, upstreamSlugs: [] };
  if (caller.grants === 'all') return undefined;
  const granted = [...upstreams(projectId)].filter(({ id }) => isGranted(caller, id));
  return {
    requesterId: caller.id,
    upstreamSlugs: granted.map(addressOf),
    gatewayIds: caller.projectId === projectId ? [...(caller.gatewayGrants ?? [])] : [],
  };
}
