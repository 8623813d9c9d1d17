import { create } from '@bufbuild/protobuf';
import type { HandlerContext, ServiceImpl } from '@connectrpc/connect';
import type {
  ApprovalResolution,
  ApprovalService,
  ApproveCallRequest,
  BatchResolveApprovalsRequest,
  DenyCallRequest,
  GetApprovalRequest,
  ListApprovalsRequest,
  WatchApprovalsRequest,
  WatchApprovalsResponse,
} from '../../gen/portcullis/v1/approval_service_pb.ts';
import { WatchApprovalsResponseSchema } from '../../gen/portcullis/v1/approval_service_pb.ts';
import type { ApprovalEvent, Approvals } from '../approvals/approvals.ts';
import { isVisible } from '../approvals/visibility.ts';
import type { ApprovalVisibility } from '../db/approvals.ts';
import { GatewayError } from '../domain/errors.ts';
import type { ApprovalId, ProjectId } from '../domain/ids.ts';
import type { Principal } from '../domain/principal.ts';
import type { HotConfig } from '../snapshot/hot-config.ts';
import { type ApprovalCursors, createApprovalCursors } from './approval-cursor.ts';
import { fromFilterMessage, scopeOfFilter, visibilityOf } from './approval-filter.ts';
import { toApprovalMessage } from './approval-message.ts';
import { getCaller, recheckCaller } from './context.ts';
import { hidden } from './hidden.ts';
import { readPage } from './page-reading.ts';
import type { Paging } from './paging.ts';
import { type TargetProjectDeps, targetProjectId } from './target-project.ts';
import { createValidationError } from './validation.ts';

export interface ApprovalServiceDeps extends TargetProjectDeps {
  readonly paging: Paging;
  readonly approvals: Pick<Approvals, 'get' | 'list' | 'vote' | 'resolveAll' | 'watch' | 'head'>;
  readonly upstreams: HotConfig['upstreams'];
}

/** Serves ApprovalService. */
export function createApprovalService(deps: ApprovalServiceDeps): ServiceImpl<typeof ApprovalService> {
  return {
    getApproval: (request, { values }) => readApproval(deps, getCaller(values), request),
    listApprovals: (request, { values }) => listPage(deps, getCaller(values), request),
    approveCall: (request, { values }) => answer(deps, getCaller(values), request, true),
    denyCall: (request, { values }) => answer(deps, getCaller(values), request, false),
    batchResolveApprovals: (request, { values }) => answerAll(deps, getCaller(values), request),
    watchApprovals: (request, context) => watchApprovals(deps, request, context),
  };
}

async function readApproval(deps: ApprovalServiceDeps, caller: Principal, request: GetApprovalRequest) {
  const projectId = await targetProjectId(deps, caller, request.project);
  const approval = await deps.approvals.get(projectId, request.id);
  if (approval === undefined || !isVisible(visibilityOf(deps.upstreams, caller, projectId), approval)) {
    throw hidden('approval', request.id);
  }
  return { approval: toApprovalMessage(approval) };
}

async function listPage(deps: ApprovalServiceDeps, caller: Principal, request: ListApprovalsRequest) {
  const projectId = await targetProjectId(deps, caller, request.project);
  const filter = fromFilterMessage(request.filter);
  const visibility = visibilityOf(deps.upstreams, caller, projectId);
  const { items, nextPageToken } = await readPage(deps.paging, {
    scope: { method: 'ListApprovals', caller, filter: [projectId, ...scopeOfFilter(filter)] },
    request,
    read: ({ afterId, limit }) =>
      deps.approvals.list({ projectId, filter: { ...filter, visibility }, beforeId: afterId, limit }),
  });
  return { approvals: items.map(toApprovalMessage), nextPageToken };
}

async function answer(
  deps: ApprovalServiceDeps,
  caller: Principal,
  { project, id, comment }: ApproveCallRequest | DenyCallRequest,
  approve: boolean,
) {
  const projectId = await targetProjectId(deps, caller, project);
  const visibility = visibilityOf(deps.upstreams, caller, projectId);
  const answered = await deps.approvals.vote(projectId, id as ApprovalId, caller, { approve, comment }, visibility);
  return { approval: toApprovalMessage(answered) };
}

async function answerAll(deps: ApprovalServiceDeps, caller: Principal, request: BatchResolveApprovalsRequest) {
  const projectId = await targetProjectId(deps, caller, request.project);
  checkDistinct(request.resolutions);
  // An id of the schema's form, which finds nothing when it is no approval's.
  const resolutions = request.resolutions.map(({ id, approve, comment }) => ({
    id: id as ApprovalId,
    approve,
    comment,
  }));
  const visibility = visibilityOf(deps.upstreams, caller, projectId);
  const answered = await deps.approvals.resolveAll(projectId, resolutions, caller, visibility);
  return { approvals: answered.map(toApprovalMessage) };
}

function checkDistinct(resolutions: readonly ApprovalResolution[]): void {
  const ids = resolutions.map(({ id }) => id);
  const repeated = ids.findIndex((id, index) => ids.indexOf(id) !== index);
  if (repeated !== -1) {
    const description = 'names an approval that was answered before in this request; answer each once';
    throw createValidationError([{ field: `resolutions[${repeated}].id`, description }]);
  }
}

async function* watchApprovals(
  deps: ApprovalServiceDeps,
  request: WatchApprovalsRequest,
  { values, signal }: HandlerContext,
): AsyncGenerator<WatchApprovalsResponse> {
  const caller = getCaller(values);
  const projectId = await targetProjectId(deps, caller, request.project);
  const filter = fromFilterMessage(request.filter);
  const cursors = createApprovalCursors([projectId, ...scopeOfFilter(filter)]);
  const position = cursors.decode(request.cursor, await deps.approvals.head());
  const authorize = async () => watcherVisibility(deps, await recheckCaller(values), projectId);
  for await (const event of deps.approvals.watch({ projectId, filter, position, authorize, signal })) {
    yield toResponse(event, cursors);
  }
  // A watch ends only because it must: the caller is told why, so that it comes back.
  signal.throwIfAborted();
}

/** What a watcher may see by now: a watch outlives changes of its caller's rights. Throws when it may see nothing any more. */
function watcherVisibility(
  deps: ApprovalServiceDeps,
  caller: Principal,
  projectId: ProjectId,
): ApprovalVisibility | undefined {
  const isActive = (caller.agentState ?? 'active') === 'active';
  if (!isActive || (caller.projectId !== projectId && !deps.isOperator(caller))) {
    throw new GatewayError('permission_denied', 'The caller may not watch these approvals any more.');
  }
  return visibilityOf(deps.upstreams, caller, projectId);
}

function toResponse(event: ApprovalEvent, { encode }: ApprovalCursors): WatchApprovalsResponse {
  const cursor = encode(event.position);
  switch (event.kind) {
    case 'approval': {
      const value = { case: 'approval' as const, value: toApprovalMessage(event.approval) };
      return create(WatchApprovalsResponseSchema, { value, cursor });
    }
    case 'checkpoint':
      return create(WatchApprovalsResponseSchema, { value: { case: 'checkpoint', value: {} }, cursor });
  }
}
