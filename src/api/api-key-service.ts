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
import { mayManageAgents, maySeeApiKey } from '../authn/api-key-rights.ts';
import { type ApiKeyTarget, addApiKey, changeApiKey, endApiKey, rotateApiKey } from '../authn/api-key-service.ts';
import { findAgent } from '../db/agents.ts';
import { type ApiKeyRecord, findApiKey, listApiKeys } from '../db/api-keys.ts';
import type { ApiKeyId, PrincipalId, ProjectId } from '../domain/ids.ts';
import { hasScope, type Principal } from '../domain/principal.ts';
import { toApiKeyMessage } from './api-key-message.ts';
import { writeConfig } from './config-write.ts';
import { getCaller } from './context.ts';
import type { ApiDeps } from './deps.ts';
import { revisionOf } from './etag.ts';
import { fromGrantsMessage } from './grants-message.ts';
import { hidden } from './hidden.ts';
import { readPage } from './page-reading.ts';
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
        grants: undefined,
        ...(request.grants && fromGrantsMessage(request.grants)),
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
  const seesAll = hasScope(caller, 'admin');
  const ownerId = seesAll || mayManageAgents(caller) ? named : caller.id;
  if (named !== undefined && named !== caller.id && !seesAll) {
    await requireAgent(deps, caller, projectId, named);
  }
  const { items, nextPageToken } = await readPage<ApiKeyRecord>(deps.paging, {
    scope: { method: 'ListApiKeys', caller, filter: [projectId, ownerId] },
    request,
    read: (rows) => listApiKeys(deps.store.db, { projectId, ownerId, ...rows }),
    ...(seesAll || ownerId !== undefined ? {} : { wanted: (key) => maySeeApiKey(caller, key) }),
  });
  return { apiKeys: items.map(toApiKeyMessage), nextPageToken };
}

/** Who is no admin may name only an agent; whether there is another user of the id is not told. */
async function requireAgent(deps: ApiDeps, caller: Principal, projectId: ProjectId, id: PrincipalId): Promise<void> {
  const agent = mayManageAgents(caller) ? await findAgent(deps.store.db, id) : undefined;
  if (agent?.projectId !== projectId) {
    throw hidden('owner', id);
  }
}

async function updateKey(deps: ApiDeps, caller: Principal, request: UpdateApiKeyRequest) {
  const target = await targetOf(deps, caller, request);
  const update = present({
    displayName: request.displayName,
    scopes: request.scopes && fromScopeMessages(request.scopes.scopes),
    ...(request.grants && fromGrantsMessage(request.grants)),
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

/** Any text of a request; it finds nothing when it is not the id of a user or agent. */
function toOwnerId(text: string): PrincipalId {
  return text as PrincipalId;
}
