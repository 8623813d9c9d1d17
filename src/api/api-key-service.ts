import { durationMs, timestampMs } from '@bufbuild/protobuf/wkt';
import type { ServiceImpl } from '@connectrpc/connect';
import {
  type ApiKeyService,
  type CreateApiKeyRequest,
  CreateApiKeyRequestSchema,
  CreateApiKeyResponseSchema,
  type GetApiKeyRequest,
  type ListApiKeysRequest,
  type RevokeApiKeyRequest,
  type RotateApiKeyRequest,
  RotateApiKeyRequestSchema,
  RotateApiKeyResponseSchema,
  type UpdateApiKeyRequest,
} from '../../gen/portcullis/v1/api_key_service_pb.ts';
import { maySeeApiKey } from '../authn/api-key-rights.ts';
import { type ApiKeyTarget, addApiKey, changeApiKey, endApiKey, rotateApiKey } from '../authn/api-key-service.ts';
import { findApiKey, listApiKeys } from '../db/api-keys.ts';
import type { ApiKeyId, PrincipalId } from '../domain/ids.ts';
import { hasScope, type Principal } from '../domain/principal.ts';
import { toApiKeyMessage } from './api-key-message.ts';
import { writeConfig } from './config-write.ts';
import { getCaller } from './context.ts';
import type { ApiDeps } from './deps.ts';
import { revisionOf } from './etag.ts';
import { fromGrantsMessage } from './grants-message.ts';
import { hidden } from './hidden.ts';
import { cutPage } from './paging.ts';
import { present } from './present.ts';
import { runOnce } from './repeatable.ts';
import { fromScopeMessages } from './scope-message.ts';
import { targetProjectId } from './target-project.ts';

const DEFAULT_OVERLAP_MS = 24 * 3600 * 1000;

/** Serves ApiKeyService. */
export function createApiKeyService(deps: ApiDeps): ServiceImpl<typeof ApiKeyService> {
  return {
    createApiKey: (request, context) => createKey(deps, getCaller(context.values), request),
    getApiKey: (request, context) => readKey(deps, getCaller(context.values), request),
    listApiKeys: (request, context) => listPage(deps, getCaller(context.values), request),
    updateApiKey: (request, context) => updateKey(deps, getCaller(context.values), request),
    rotateApiKey: (request, context) => rotateKey(deps, getCaller(context.values), request),
    revokeApiKey: (request, context) => revokeKey(deps, getCaller(context.values), request),
  };
}

async function createKey(deps: ApiDeps, caller: Principal, request: CreateApiKeyRequest) {
  const projectId = await targetProjectId(deps, caller, request.project);
  return runOnce(deps, {
    caller,
    projectId,
    request,
    schemas: { request: CreateApiKeyRequestSchema, response: CreateApiKeyResponseSchema },
    async write(writing) {
      const { key, secret } = await addApiKey(writing, caller, {
        projectId,
        ownerId: request.ownerId === '' ? caller.id : toOwnerId(request.ownerId),
        displayName: request.displayName,
        scopes: fromScopeMessages(request.scopes),
        grants: request.grants && fromGrantsMessage(request.grants),
        expireTime: request.expireTime && timestampMs(request.expireTime),
      });
      return { apiKey: toApiKeyMessage(key), secret };
    },
  });
}

async function readKey(deps: ApiDeps, caller: Principal, request: GetApiKeyRequest) {
  const { projectId, id } = await targetOf(deps, caller, { ...request, etag: '' });
  const key = await findApiKey(deps.store.db, id);
  if (key === undefined || key.projectId !== projectId || !maySeeApiKey(caller, key)) {
    throw hidden('API key', id);
  }
  return { apiKey: toApiKeyMessage(key) };
}

async function listPage(deps: ApiDeps, caller: Principal, request: ListApiKeysRequest) {
  const projectId = await targetProjectId(deps, caller, request.project);
  const named = request.ownerId === '' ? undefined : toOwnerId(request.ownerId);
  const ownerId = hasScope(caller, 'admin') ? named : caller.id;
  if (named !== undefined && named !== ownerId) {
    throw hidden('user', named);
  }
  const scope = { method: 'ListApiKeys', caller, filter: [projectId, ownerId] };
  const page = await deps.paging.open(scope, request);
  const rows = await listApiKeys(deps.store.db, { projectId, ownerId, afterId: page.after, limit: page.size + 1 });
  const { items, last } = cutPage(rows, page);
  return { apiKeys: items.map(toApiKeyMessage), nextPageToken: await deps.paging.next(scope, last) };
}

async function updateKey(deps: ApiDeps, caller: Principal, request: UpdateApiKeyRequest) {
  const target = await targetOf(deps, caller, request);
  const update = present({
    displayName: request.displayName,
    scopes: request.scopes && fromScopeMessages(request.scopes.scopes),
    grants: request.grants && fromGrantsMessage(request.grants),
    expireTime: request.expireTime && timestampMs(request.expireTime),
  });
  const key = await writeConfig(deps.store, (writing) => changeApiKey(writing, caller, target, update));
  return { apiKey: toApiKeyMessage(key) };
}

async function rotateKey(deps: ApiDeps, caller: Principal, request: RotateApiKeyRequest) {
  const target = await targetOf(deps, caller, request);
  const overlapMs = request.overlap === undefined ? DEFAULT_OVERLAP_MS : durationMs(request.overlap);
  return runOnce(deps, {
    caller,
    projectId: target.projectId,
    request,
    schemas: { request: RotateApiKeyRequestSchema, response: RotateApiKeyResponseSchema },
    async write(writing) {
      const { key, secret } = await rotateApiKey(writing, caller, target, overlapMs);
      return { apiKey: toApiKeyMessage(key), secret };
    },
  });
}

async function revokeKey(deps: ApiDeps, caller: Principal, request: RevokeApiKeyRequest) {
  const target = await targetOf(deps, caller, request);
  const key = await writeConfig(deps.store, (writing) => endApiKey(writing, caller, target));
  return { apiKey: toApiKeyMessage(key) };
}

async function targetOf(
  deps: ApiDeps,
  caller: Principal,
  request: Pick<RevokeApiKeyRequest, 'project' | 'id' | 'etag'>,
): Promise<ApiKeyTarget> {
  const projectId = await targetProjectId(deps, caller, request.project);
  return { projectId, id: request.id as ApiKeyId, revision: revisionOf(request.etag) }; // any id; only a managed key is found
}

/** Any text of a request; it finds nothing when it is not the id of a user. */
function toOwnerId(text: string): PrincipalId {
  return text as PrincipalId;
}
