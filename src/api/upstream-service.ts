import type { ServiceImpl } from '@connectrpc/connect';
import type {
  GetUpstreamRequest,
  ListUpstreamsRequest,
  ListUpstreamToolsRequest,
  TestUpstreamRequest,
  UpstreamService,
} from '../../gen/portcullis/v1/upstream_service_pb.ts';
import { listUpstreams } from '../db/upstreams.ts';
import { GatewayError } from '../domain/errors.ts';
import { isGranted, type Principal } from '../domain/principal.ts';
import { passesToolFilter } from '../domain/tool-filter.ts';
import type { Upstream } from '../domain/upstream.ts';
import { UpstreamRpcError } from '../upstream/rpc-error.ts';
import type { ToolDefinition } from '../upstream/tool-definition.ts';
import type { UpstreamTestResult } from '../upstream/upstream-test.ts';
import { getCaller } from './context.ts';
import { readPage } from './page-reading.ts';
import { targetProjectId } from './target-project.ts';
import { toToolMessage } from './tool-message.ts';
import { cutToolPage } from './tool-pages.ts';
import { getGrantedUpstream } from './upstream-access.ts';
import { toUpstreamMessage } from './upstream-message.ts';
import { changeUpstream, createUpstream, removeUpstream, type UpstreamWriteDeps } from './upstream-writes.ts';

/** Asks an upstream outside of any client's call. */
interface UpstreamProbe {
  /** Never throws for what the upstream does wrong. */
  test(upstream: Upstream, signal: AbortSignal): Promise<UpstreamTestResult>;
  /** All its tools; throws UpstreamRpcError, `bad_gateway`, `upstream_timeout` or `unavailable`. */
  listTools(upstream: Upstream, principal: Principal, signal: AbortSignal): Promise<readonly ToolDefinition[]>;
}

export interface UpstreamServiceDeps extends UpstreamWriteDeps {
  readonly probe: UpstreamProbe;
}

/** Serves UpstreamService. */
export function createUpstreamService(deps: UpstreamServiceDeps): ServiceImpl<typeof UpstreamService> {
  return {
    createUpstream: (request, context) => createUpstream(deps, getCaller(context.values), request),
    getUpstream: (request, context) => readUpstream(deps, getCaller(context.values), request),
    listUpstreams: (request, context) => listPage(deps, getCaller(context.values), request),
    updateUpstream: (request, context) => changeUpstream(deps, getCaller(context.values), request),
    deleteUpstream: (request, context) => removeUpstream(deps, getCaller(context.values), request),
    testUpstream: (request, context) => testUpstream(deps, getCaller(context.values), request, context.signal),
    listUpstreamTools: (request, context) => listToolPage(deps, getCaller(context.values), request, context.signal),
  };
}

async function readUpstream(deps: UpstreamServiceDeps, caller: Principal, request: GetUpstreamRequest) {
  return { upstream: toUpstreamMessage(await getNamed(deps, caller, request)) };
}

async function testUpstream(
  deps: UpstreamServiceDeps,
  caller: Principal,
  request: TestUpstreamRequest,
  signal: AbortSignal,
) {
  const { ok, status, latencyMs, message } = await deps.probe.test(await getNamed(deps, caller, request), signal);
  return { ok, status, latencyMs: Math.round(latencyMs), message };
}

async function listToolPage(
  deps: UpstreamServiceDeps,
  caller: Principal,
  request: ListUpstreamToolsRequest,
  signal: AbortSignal,
) {
  const upstream = await getNamed(deps, caller, request);
  const scope = { method: 'ListUpstreamTools', caller, filter: [upstream.id] };
  const page = await deps.paging.open(scope, request);
  const { tools, last } = cutToolPage(await deps.probe.listTools(upstream, caller, signal).catch(throwFailure), page);
  return {
    tools: tools.map((tool) => ({
      tool: toToolMessage({ name: tool.name, definition: tool, upstream, upstreamTool: tool.name }),
      allowed: passesToolFilter(upstream.toolFilter, tool.name),
    })),
    nextPageToken: await deps.paging.next(scope, last),
  };
}

function throwFailure(error: unknown): never {
  if (error instanceof UpstreamRpcError) {
    const message = `The upstream answered with the error ${error.code}: ${error.message}`;
    throw new GatewayError('bad_gateway', message, { metadata: { rpc_code: String(error.code) }, cause: error });
  }
  throw error;
}

async function getNamed(
  deps: UpstreamServiceDeps,
  caller: Principal,
  request: GetUpstreamRequest | TestUpstreamRequest | ListUpstreamToolsRequest,
) {
  const projectId = await targetProjectId(deps, caller, request.project);
  return getGrantedUpstream(deps.store.db, caller, projectId, request.upstream);
}

async function listPage(deps: UpstreamServiceDeps, caller: Principal, request: ListUpstreamsRequest) {
  const projectId = await targetProjectId(deps, caller, request.project);
  const { items, nextPageToken } = await readPage(deps.paging, {
    scope: { method: 'ListUpstreams', caller, filter: [projectId, request.enabled] },
    request,
    read: (rows) => listUpstreams(deps.store.db, { projectId, ...rows }),
    wanted: ({ id, enabled }) =>
      isGranted(caller, id) && (request.enabled === undefined || request.enabled === enabled),
  });
  return { upstreams: items.map(toUpstreamMessage), nextPageToken };
}
