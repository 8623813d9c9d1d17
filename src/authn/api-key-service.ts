import type { Transaction } from 'kysely';
import {
  type ApiKeyRecord,
  type ApiKeySecret,
  addApiKeySecret,
  findApiKey,
  insertApiKey,
  revokeApiKey,
  updateApiKey,
} from '../db/api-keys.ts';
import type { Database } from '../db/database.ts';
import { GatewayError } from '../domain/errors.ts';
import { type ApiKeyId, type GatewayId, newId, type PrincipalId, type ProjectId } from '../domain/ids.ts';
import type { Principal, Scope } from '../domain/principal.ts';
import { hiddenResource, refuseField, requireRevision } from './access-rules.ts';
import { createApiKey, hashApiKey, keyPrefixOf } from './api-key.ts';
import {
  findOwnerKind,
  grantsOf,
  maySeeApiKey,
  requireFittingOwner,
  requireKnownGrants,
  requireOwnRights,
} from './api-key-rights.ts';
import type { ConfigWriting } from './config-writing.ts';

/** What a new key is to be. */
export interface NewApiKey {
  readonly projectId: ProjectId;
  /** A User or Agent of the project. */
  readonly ownerId: PrincipalId;
  /** For people; may be empty. */
  readonly displayName: string;
  readonly scopes: readonly Scope[];
  /** Upstreams of the project; undefined = what the caller's credential may reach, gateways included. */
  readonly grants: ApiKeyRecord['grants'] | undefined;
  /** Gateways of the project, beside the upstreams that are named. */
  readonly gatewayGrants?: readonly GatewayId[];
  /** Unix milliseconds; undefined = does not expire. */
  readonly expireTime: number | undefined;
}

/** Changes of a key; what is absent stays. */
export interface ApiKeyUpdate {
  readonly displayName?: string;
  readonly scopes?: readonly Scope[];
  readonly grants?: ApiKeyRecord['grants'];
  readonly gatewayGrants?: readonly GatewayId[];
  /** Unix milliseconds. */
  readonly expireTime?: number;
}

/** Which key is meant, and the revision that was read; undefined = any. */
export interface ApiKeyTarget {
  readonly projectId: ProjectId;
  readonly id: ApiKeyId;
  readonly revision: number | undefined;
}

/** A key together with its new text, which is known this once. */
export interface ApiKeyWithSecret {
  readonly key: ApiKeyRecord;
  readonly secret: string;
}

/** Longest time that the older secrets of a rotated key may stay valid: 30 days in milliseconds. */
const MAX_OVERLAP_MS = 30 * 24 * 60 * 60 * 1000;

/**
 * Creates a key. Throws `permission_denied` when the caller may not name this owner or gives more than its credential has,
 * `validation_failed` when the owner, an upstream or a gateway is not of the project or the scopes are not for the owner, and
 * `failed_precondition` for a REVOKED agent.
 */
export async function addApiKey(
  writing: ConfigWriting,
  caller: Principal,
  input: NewApiKey,
): Promise<ApiKeyWithSecret> {
  const { trx, changed, now } = writing;
  const ownerKind = await findOwnerKind(trx, caller, input);
  const { grants, gatewayGrants = [] } = input;
  const granted = grants === undefined ? grantsOf(caller, input.projectId) : { grants, gatewayGrants };
  const made = draftApiKey({ ...input, ownerKind, ...granted }, createApiKey(), now);
  requireOwnRights(caller, made.key);
  await requireFittingOwner(trx, made.key);
  await requireKnownGrants(trx, made.key);
  await insertApiKey(trx, made.key);
  changed('api_key', made.key.id);
  return made;
}

/** A key that is not stored yet, with the given text as its secret. */
export function draftApiKey(
  input: NewApiKey & Pick<ApiKeyRecord, 'ownerKind' | 'grants'>,
  secret: string,
  createTime: number,
): ApiKeyWithSecret {
  const { expireTime, gatewayGrants = [], ...fields } = input;
  const key: ApiKeyRecord = {
    ...fields,
    id: newId(createTime),
    ...(gatewayGrants.length > 0 && { gatewayGrants }),
    ...(expireTime !== undefined && { expireTime }),
    revision: 1,
    createTime,
    updateTime: createTime,
    secrets: [describeSecret(secret, createTime)],
  };
  return { key, secret };
}

/** Changes a key; throws as {@link addApiKey} does, `etag_mismatch`, and `failed_precondition` when the key is revoked. */
export async function changeApiKey(
  { trx, changed, now }: ConfigWriting,
  caller: Principal,
  target: ApiKeyTarget,
  update: ApiKeyUpdate,
): Promise<ApiKeyRecord> {
  const key = await getTarget(trx, caller, target);
  requireNotRevoked(key);
  const updated = { ...key, ...update };
  requireOwnRights(caller, updated);
  if (update.scopes !== undefined) {
    await requireFittingOwner(trx, updated);
  }
  if (update.grants !== undefined || update.gatewayGrants !== undefined) {
    await requireKnownGrants(trx, updated);
  }
  changed('api_key', key.id);
  return existing(key, await updateApiKey(trx, key.id, key.revision, { ...update, updateTime: now }));
}

/**
 * Gives a key a new secret; the older ones stay valid for `overlapMs` (0 to 30 days) at most. Throws as {@link changeApiKey} does, and
 * `failed_precondition` when the key has expired. The caller must have all that the key has, since it gets the key.
 */
export async function rotateApiKey(
  { trx, changed, now }: ConfigWriting,
  caller: Principal,
  target: ApiKeyTarget,
  overlapMs: number,
): Promise<ApiKeyWithSecret> {
  if (!(overlapMs >= 0 && overlapMs <= MAX_OVERLAP_MS)) {
    refuseField('overlap', 'must be from 0 to 30 days');
  }
  const key = await getTarget(trx, caller, target);
  requireNotRevoked(key);
  requireNotExpired(key, now);
  requireOwnRights(caller, key);
  const secret = createApiKey();
  changed('api_key', key.id);
  const rotated = await addApiKeySecret(trx, key.id, describeSecret(secret, now), now + overlapMs);
  return { key: existing(key, rotated), secret };
}

/** Revokes a key for good; a revoked one stays as it is. Throws `permission_denied` and `etag_mismatch` as {@link changeApiKey} does. */
export async function endApiKey(
  { trx, changed, now }: ConfigWriting,
  caller: Principal,
  target: ApiKeyTarget,
): Promise<ApiKeyRecord> {
  const key = await getTarget(trx, caller, target);
  if (key.revokeTime !== undefined) {
    return key;
  }
  changed('api_key', key.id);
  return existing(key, await revokeApiKey(trx, key.id, now));
}

function requireNotRevoked(key: ApiKeyRecord): void {
  if (key.revokeTime !== undefined) {
    const message = 'The API key is revoked. Create another one.';
    throw new GatewayError('failed_precondition', message, { metadata: { condition: 'revoked' } });
  }
}

function requireNotExpired(key: ApiKeyRecord, time: number): void {
  if (key.expireTime !== undefined && key.expireTime <= time) {
    const message = 'The API key has expired. Give it a later expire_time first, or create another one.';
    throw new GatewayError('failed_precondition', message, { metadata: { condition: 'expired' } });
  }
}

async function getTarget(trx: Transaction<Database>, caller: Principal, target: ApiKeyTarget): Promise<ApiKeyRecord> {
  const key = await findApiKey(trx, target.id);
  if (key === undefined || key.projectId !== target.projectId || !maySeeApiKey(caller, key)) {
    throw hiddenResource('api_key', target.id);
  }
  requireRevision('api_key', key, target.revision);
  return key;
}

function describeSecret(secret: string, createTime: number): ApiKeySecret {
  return { secretHash: hashApiKey(secret), keyPrefix: keyPrefixOf(secret), createTime };
}

/** The configuration is locked and the key was read, so it is still there. */
function existing(key: ApiKeyRecord, written: ApiKeyRecord | undefined): ApiKeyRecord {
  if (written === undefined) {
    throw hiddenResource('api_key', key.id);
  }
  return written;
}
