import type {
  CreateGatewayRequest,
  DeleteGatewayRequest,
  PatchGatewayRequest,
  UndeleteGatewayRequest,
  UpdateGatewayRequest,
} from '../../gen/portcullis/v1/gateway_service_pb.ts';
import { CreateGatewayRequestSchema, CreateGatewayResponseSchema } from '../../gen/portcullis/v1/gateway_service_pb.ts';
import type { ConfigWriting } from '../authn/config-writing.ts';
import { insertGateway, updateGateway } from '../db/gateways.ts';
import { GatewayError } from '../domain/errors.ts';
import type { Gateway } from '../domain/gateway.ts';
import { type GatewayId, newId, type ProjectId } from '../domain/ids.ts';
import type { Principal } from '../domain/principal.ts';
import { addressOf, DEFAULT_VERSION } from '../domain/target.ts';
import { writeConfig } from './config-write.ts';
import type { ApiDeps } from './deps.ts';
import { checkEtag, requireWritten } from './etag.ts';
import { requireFullGrants } from './full-grants.ts';
import { getGrantedGateway } from './gateway-access.ts';
import {
  fromCommonOverridesMessage,
  fromDiscoveryModeMessage,
  fromGatewayUpstreamMessage,
  toGatewayMessage,
} from './gateway-message.ts';
import type { createGatewayPatch } from './gateway-patch.ts';
import { findMissingUpstreams, requireFreeAddress } from './gateway-references.ts';
import { findGatewayViolations, type GatewayContent, type GatewayPaths } from './gateway-rules.ts';
import { present } from './present.ts';
import { runOnce } from './repeatable.ts';
import { targetProjectId } from './target-project.ts';
import { createValidationError } from './validation.ts';

export interface GatewayWriteDeps extends ApiDeps {
  readonly applyPatch: ReturnType<typeof createGatewayPatch>;
}

const ACTION = 'create or change gateways, which lead to other upstreams';

const CREATE_PATHS: GatewayPaths = { commonOverrides: 'common_overrides', entry: (index) => `upstreams[${index}]` };

const UPDATE_PATHS: GatewayPaths = { ...CREATE_PATHS, entry: (index) => `upstreams.upstreams[${index}]` };

/** Adds a gateway. Throws `validation_failed`, or `already_exists` when the slug is taken in that version. */
export async function createGateway(deps: ApiDeps, caller: Principal, request: CreateGatewayRequest) {
  const projectId = await targetProjectId(deps, caller, request.project);
  requireFullGrants(caller, ACTION);
  return runOnce(deps, {
    caller,
    projectId,
    request,
    schemas: { request: CreateGatewayRequestSchema, response: CreateGatewayResponseSchema },
    async write({ trx, changed, now }) {
      const gateway: Gateway = {
        id: newId<GatewayId>(now),
        projectId,
        slug: request.slug,
        version: request.version || DEFAULT_VERSION,
        displayName: request.displayName,
        description: request.description,
        commonOverrides: fromCommonOverridesMessage(request.commonOverrides),
        upstreams: request.upstreams.map(fromGatewayUpstreamMessage),
        discoveryMode: fromDiscoveryModeMessage(request.discoveryMode) ?? 'list',
        revision: 1,
        createTime: now,
        updateTime: now,
      };
      await requireFreeAddress(trx, projectId, gateway.slug, gateway.version);
      await requireWorkable(trx, projectId, gateway, CREATE_PATHS);
      await insertGateway(trx, gateway);
      changed('gateway', gateway.id);
      return { gateway: toGatewayMessage(gateway) };
    },
  });
}

/** Changes what the request sets. Throws `validation_failed`, `etag_mismatch`, and `failed_precondition` for a deleted one. */
export async function changeGateway(deps: ApiDeps, caller: Principal, request: UpdateGatewayRequest) {
  const gateway = await writeNamed(deps, caller, request, async (writing, old) => {
    checkEtag('gateway', old, request.etag);
    return writeChange(writing, old, request, UPDATE_PATHS);
  });
  return { gateway: toGatewayMessage(gateway) };
}

/** Merges a patch. Throws `validation_failed`, `etag_mismatch`, and `failed_precondition` for a deleted one. */
export async function patchGateway(deps: GatewayWriteDeps, caller: Principal, request: PatchGatewayRequest) {
  const gateway = await writeNamed(deps, caller, request, async (writing, old) => {
    checkEtag('gateway', old, request.etag);
    const { update, entryPath } = deps.applyPatch(old, request.patch ?? {});
    return writeChange(writing, old, update, { commonOverrides: 'patch.common_overrides', entry: entryPath });
  });
  return { gateway: toGatewayMessage(gateway) };
}

/** Deletes a gateway so that it can be brought back. Throws `etag_mismatch`. */
export async function removeGateway(deps: ApiDeps, caller: Principal, request: DeleteGatewayRequest) {
  const gateway = await writeNamed(deps, caller, request, async (writing, old) => {
    if (old.deleteTime !== undefined) {
      return old;
    }
    checkEtag('gateway', old, request.etag);
    return write(writing, { ...old, deleteTime: writing.now });
  });
  return { gateway: toGatewayMessage(gateway) };
}

/** Brings a deleted gateway back. Throws `failed_precondition` when an upstream of it is gone. */
export async function restoreGateway(deps: ApiDeps, caller: Principal, request: UndeleteGatewayRequest) {
  const gateway = await writeNamed(deps, caller, request, async (writing, old) => {
    const { deleteTime, ...active } = old;
    if (deleteTime === undefined) {
      return old;
    }
    const missing = await findMissingUpstreams(writing.trx, old.projectId, old.upstreams, CREATE_PATHS.entry);
    if (missing.length > 0) {
      const list = missing.map(({ field, description }) => `${field}: ${description}`).join('; ');
      const message = `The gateway '${addressOf(old)}' cannot be brought back: not all of its upstreams are there. ${list}`;
      throw new GatewayError('failed_precondition', message, { metadata: { condition: 'upstream_missing' } });
    }
    return write(writing, active);
  });
  return { gateway: toGatewayMessage(gateway) };
}

type NamedGateway = Pick<DeleteGatewayRequest, 'project' | 'gateway'>;

async function writeNamed(
  deps: ApiDeps,
  caller: Principal,
  request: NamedGateway,
  change: (writing: ConfigWriting, old: Gateway) => Promise<Gateway>,
): Promise<Gateway> {
  const projectId = await targetProjectId(deps, caller, request.project);
  requireFullGrants(caller, ACTION);
  return writeConfig(deps.store, async (writing) =>
    change(writing, await getGrantedGateway(writing.trx, caller, projectId, request.gateway)),
  );
}

async function writeChange(
  writing: ConfigWriting,
  old: Gateway,
  request: UpdateGatewayRequest,
  paths: GatewayPaths,
): Promise<Gateway> {
  if (old.deleteTime !== undefined) {
    const message = `The gateway '${addressOf(old)}' is deleted. Bring it back with UndeleteGateway first.`;
    throw new GatewayError('failed_precondition', message, { metadata: { condition: 'deleted' } });
  }
  const changes = present({
    displayName: request.displayName,
    description: request.description,
    commonOverrides: request.commonOverrides && fromCommonOverridesMessage(request.commonOverrides),
    upstreams: request.upstreams?.upstreams.map(fromGatewayUpstreamMessage),
    discoveryMode: fromDiscoveryModeMessage(request.discoveryMode),
  });
  const gateway = { ...old, ...changes };
  await requireWorkable(writing.trx, old.projectId, gateway, paths);
  return write(writing, gateway);
}

async function write({ trx, changed, now }: ConfigWriting, gateway: Gateway): Promise<Gateway> {
  changed('gateway', gateway.id);
  const written = await updateGateway(trx, { ...gateway, updateTime: now });
  return requireWritten('gateway', gateway.id, written);
}

async function requireWorkable(
  trx: ConfigWriting['trx'],
  projectId: ProjectId,
  content: GatewayContent,
  paths: GatewayPaths,
): Promise<void> {
  const violations = [
    ...findGatewayViolations(content, paths),
    ...(await findMissingUpstreams(trx, projectId, content.upstreams, paths.entry)),
  ];
  if (violations.length > 0) {
    throw createValidationError(violations);
  }
}
