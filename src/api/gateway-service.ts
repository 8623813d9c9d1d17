import type { ServiceImpl } from '@connectrpc/connect';
import type {
  GatewayService,
  GetGatewayConfigRequest,
  GetGatewayRequest,
  ListGatewaysRequest,
} from '../../gen/portcullis/v1/gateway_service_pb.ts';
import { listGateways } from '../db/gateways.ts';
import type { Gateway } from '../domain/gateway.ts';
import { isGatewayGranted, type Principal } from '../domain/principal.ts';
import { getCaller } from './context.ts';
import type { ApiDeps } from './deps.ts';
import { getGrantedGateway } from './gateway-access.ts';
import { expandGateway } from './gateway-expansion.ts';
import { toGatewayMessage } from './gateway-message.ts';
import { createGatewayPatch } from './gateway-patch.ts';
import { findComposed } from './gateway-references.ts';
import { changeGateway, createGateway, patchGateway, removeGateway, restoreGateway } from './gateway-writes.ts';
import { readPage } from './page-reading.ts';
import { targetProjectId } from './target-project.ts';

/** Serves GatewayService. */
export function createGatewayService(api: ApiDeps): ServiceImpl<typeof GatewayService> {
  const deps = { ...api, applyPatch: createGatewayPatch() };
  return {
    createGateway: (request, context) => createGateway(deps, getCaller(context.values), request),
    getGateway: (request, context) => readGateway(deps, getCaller(context.values), request),
    getGatewayConfig: (request, context) => readGatewayConfig(deps, getCaller(context.values), request),
    listGateways: (request, context) => listPage(deps, getCaller(context.values), request),
    updateGateway: (request, context) => changeGateway(deps, getCaller(context.values), request),
    patchGateway: (request, context) => patchGateway(deps, getCaller(context.values), request),
    deleteGateway: (request, context) => removeGateway(deps, getCaller(context.values), request),
    undeleteGateway: (request, context) => restoreGateway(deps, getCaller(context.values), request),
  };
}

async function readGateway(deps: ApiDeps, caller: Principal, request: GetGatewayRequest) {
  return { gateway: toGatewayMessage(await getNamed(deps, caller, request)) };
}

async function readGatewayConfig(deps: ApiDeps, caller: Principal, request: GetGatewayConfigRequest) {
  const gateway = await getNamed(deps, caller, request);
  const upstreams = await findComposed(deps.store.db, gateway.projectId, gateway.upstreams);
  return { config: expandGateway(gateway, upstreams) };
}

async function getNamed(
  deps: ApiDeps,
  caller: Principal,
  request: GetGatewayRequest | GetGatewayConfigRequest,
): Promise<Gateway> {
  const projectId = await targetProjectId(deps, caller, request.project);
  return getGrantedGateway(deps.store.db, caller, projectId, request.gateway);
}

async function listPage(deps: ApiDeps, caller: Principal, request: ListGatewaysRequest) {
  const { active } = request;
  const projectId = await targetProjectId(deps, caller, request.project);
  const { items, nextPageToken } = await readPage(deps.paging, {
    scope: { method: 'ListGateways', caller, filter: [projectId, active] },
    request,
    read: (rows) => listGateways(deps.store.db, { projectId, ...rows }),
    wanted: ({ id, deleteTime }) =>
      isGatewayGranted(caller, id) && (active === undefined || active === (deleteTime === undefined)),
  });
  return { gateways: items.map(toGatewayMessage), nextPageToken };
}
