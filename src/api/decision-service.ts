import { create } from '@bufbuild/protobuf';
import { timestampMs } from '@bufbuild/protobuf/wkt';
import type { HandlerContext, ServiceImpl } from '@connectrpc/connect';
import type {
  DecisionService,
  GetDecisionRequest,
  ListDecisionsRequest,
  WatchDecisionsRequest,
  WatchDecisionsResponse,
} from '../../gen/portcullis/v1/decision_service_pb.ts';
import { WatchDecisionsResponseSchema } from '../../gen/portcullis/v1/decision_service_pb.ts';
import type { LogStore } from '../db/log-store.ts';
import { fromRow } from '../decisions/decision-row.ts';
import type { WatchEvent, WatchRequest } from '../decisions/decision-watch.ts';
import type { LoggedDecision } from '../domain/decision.ts';
import { GatewayError } from '../domain/errors.ts';
import type { ProjectId } from '../domain/ids.ts';
import { hasScope, type Principal } from '../domain/principal.ts';
import { getCaller, recheckCaller } from './context.ts';
import { checkVisible, fromFilterMessage, isVisible, matchesFilter, scopeOfFilter } from './decision-filter.ts';
import { toDecisionMessage } from './decision-message.ts';
import { hidden } from './hidden.ts';
import { readPage } from './page-reading.ts';
import type { Paging } from './paging.ts';
import { type TargetProjectDeps, targetProjectId } from './target-project.ts';
import { checkPosition, createCursorCodec } from './watch-cursor.ts';

export interface DecisionServiceDeps extends TargetProjectDeps {
  readonly paging: Paging;
  readonly decisions: Pick<LogStore, 'head' | 'list' | 'get'>;
  readonly watch: (request: WatchRequest) => AsyncIterable<WatchEvent>;
}

/** Serves DecisionService. */
export function createDecisionService(deps: DecisionServiceDeps): ServiceImpl<typeof DecisionService> {
  return {
    getDecision: (request, context) => readDecision(deps, getCaller(context.values), request),
    listDecisions: (request, context) => listPage(deps, getCaller(context.values), request),
    watchDecisions: (request, context) => watchDecisions(deps, request, context),
  };
}

async function readDecision(deps: DecisionServiceDeps, caller: Principal, request: GetDecisionRequest) {
  const projectId = await targetProjectId(deps, caller, request.project);
  const row = await deps.decisions.get(projectId, request.id);
  const logged = row && fromRow(row);
  if (logged === undefined || !isVisible(caller, logged.decision)) {
    throw hidden('decision', request.id);
  }
  return { decision: toDecisionMessage(logged) };
}

async function listPage(deps: DecisionServiceDeps, caller: Principal, request: ListDecisionsRequest) {
  const projectId = await targetProjectId(deps, caller, request.project);
  const filter = fromFilterMessage(request.filter);
  checkVisible(caller, filter);
  const startTime = request.startTime && timestampMs(request.startTime);
  const endTime = request.endTime && timestampMs(request.endTime);
  const { items, nextPageToken } = await readPage<LoggedDecision & { readonly id: string }>(deps.paging, {
    scope: { method: 'ListDecisions', caller, filter: [projectId, ...scopeOfFilter(filter), startTime, endTime] },
    request,
    async read({ afterId, limit }) {
      const rows = await deps.decisions.list({ projectId, ...filter, startTime, endTime, beforeId: afterId, limit });
      return rows.map((row) => ({ id: row.decision.id, ...fromRow(row) }));
    },
    // No column holds the gateway.
    ...(filter.gatewayId === undefined ? {} : { wanted: ({ decision }) => matchesFilter(filter, decision) }),
  });
  return { decisions: items.map(toDecisionMessage), nextPageToken };
}

async function* watchDecisions(
  deps: DecisionServiceDeps,
  request: WatchDecisionsRequest,
  { values, signal }: HandlerContext,
): AsyncGenerator<WatchDecisionsResponse> {
  const caller = getCaller(values);
  const projectId = await targetProjectId(deps, caller, request.project);
  const filter = fromFilterMessage(request.filter);
  checkVisible(caller, filter);
  const cursors = createCursorCodec([projectId, ...scopeOfFilter(filter)]);
  const position = request.cursor === '' ? undefined : cursors.decode(request.cursor);
  if (position !== undefined) {
    checkPosition(position, await deps.decisions.head());
  }
  const matches = (logged: Parameters<WatchRequest['matches']>[0]) => matchesFilter(filter, logged.decision);
  const authorize = async () => checkWatcher(deps, await recheckCaller(values), projectId, filter);
  for await (const event of deps.watch({ projectId, position, matches, authorize, signal })) {
    yield toResponse(event, cursors.encode);
  }
  // A watch ends only because it must: the caller is told why, so that it comes back.
  signal.throwIfAborted();
}

/** A watch outlives changes of its caller's rights: throws when they do not cover it any more. */
function checkWatcher(
  deps: DecisionServiceDeps,
  caller: Principal,
  projectId: ProjectId,
  filter: ReturnType<typeof fromFilterMessage>,
): void {
  checkVisible(caller, filter);
  if (!hasScope(caller, 'gateway:read') || (caller.projectId !== projectId && !deps.isOperator(caller))) {
    throw new GatewayError('permission_denied', 'The caller may not watch these decisions any more.');
  }
}

function toResponse(event: WatchEvent, encode: ReturnType<typeof createCursorCodec>['encode']): WatchDecisionsResponse {
  switch (event.kind) {
    case 'decision':
      return create(WatchDecisionsResponseSchema, {
        value: { case: 'decision', value: toDecisionMessage(event.logged) },
        cursor: encode(event.logged.position),
      });
    case 'checkpoint':
      return create(WatchDecisionsResponseSchema, {
        value: { case: 'checkpoint', value: {} },
        cursor: encode(event.position),
      });
  }
}
