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
import { lockConfig, withChanges } from '../db/config-changes.ts';
import type { Database } from '../db/database.ts';
import type { Store } from '../db/store.ts';
import { findUpstreams } from '../db/upstreams.ts';
import { findUser, type UserRecord } from '../db/users.ts';
import { GatewayError } from '../domain/errors.ts';
import { type ApiKeyId, newId, type PrincipalId, type ProjectId, type UpstreamId } from '../domain/ids.ts';
import { hasScope, isGranted, type Principal, type Scope } from '../domain/principal.ts';
import { hiddenResource, refuseField, requireOwnScopes, requireRevision } from './access-rules.ts';
import { createApiKey, hashApiKey, keyPrefixOf } from './api-key.ts';
import type { Alongside } from './user-service.ts';

/** What the functions on API keys work with. */
export interface ApiKeyServiceDeps {
  readonly store: Store;
  readonly now: () => number;
}

export interface NewApiKey {
  readonly projectId: ProjectId;
  /** A User of the project. */
  readonly ownerId: PrincipalId;
  /** For people; may be empty. */
  readonly displayName: string;
  readonly scopes: readonly Scope[];
  /** Upstreams of the project; undefined = those of the caller's credential. */
  readonly grants: ApiKeyRecord['grants'] | undefined;
  /** Unix milliseconds; undefined = does not expire. */
  readonly expireTime: number | undefined;
}

/** Changes of a key; what is absent stays. */
export interface ApiKeyUpdate {
  readonly displayName?: string;
  readonly scopes?: readonly Scope[];
  readonly grants?: ApiKeyRecord['grants'];
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
 * Creates a key. Throws `permission_denied` when the caller, not being an admin, names another owner or gives more than its credential
 * has, and `validation_failed` when the owner or an upstream is not of the project or the scopes go beyond the owner's.
 */
export async function addApiKey(
  { store, now }: ApiKeyServiceDeps,
  caller: Principal,
  input: NewApiKey,
  alongside?: Alongside<ApiKeyWithSecret>,
): Promise<ApiKeyWithSecret> {
  requireOwner(caller, input.ownerId);
  const made = draftApiKey({ ...input, grants: input.grants ?? grantsOf(caller) }, createApiKey(), now());
  requireOwnRights(caller, made.key);
  return withChanges(store, async (trx, changed) => {
    await lockConfig(trx);
    await requireFittingOwner(trx, made.key);
    await requireKnownUpstreams(trx, made.key);
    await insertApiKey(trx, made.key);
    changed('api_key', made.key.id);
    await alongside?.(trx, made);
    return made;
  });
}

/** A key that is not stored yet, with the given text as its secret. */
export function draftApiKey(
  input: NewApiKey & { readonly grants: ApiKeyRecord['grants'] },
  secret: string,
  createTime: number,
): ApiKeyWithSecret {
  const { expireTime, ...fields } = input;
  const key: ApiKeyRecord = {
    ...fields,
    id: newId(createTime),
    ownerKind: 'user',
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
  { store, now }: ApiKeyServiceDeps,
  caller: Principal,
  target: ApiKeyTarget,
  update: ApiKeyUpdate,
): Promise<ApiKeyRecord> {
  return withChanges(store, async (trx, changed) => {
    const key = await lockApiKey(trx, caller, target);
    requireNotRevoked(key);
    const changedKey = { ...key, ...update };
    requireOwnRights(caller, changedKey);
    if (update.scopes !== undefined) {
      await requireFittingOwner(trx, changedKey);
    }
    if (update.grants !== undefined) {
      await requireKnownUpstreams(trx, changedKey);
    }
    changed('api_key', key.id);
    return existing(await updateApiKey(trx, key.id, key.revision, { ...update, updateTime: now() }));
  });
}

/**
 * Gives a key a new secret; the older ones stay valid for `overlapMs` (0 to 30 days) at most. Throws as {@link changeApiKey} does, and
 * `failed_precondition` when the key has expired. The caller must have all that the key has, since it gets the key.
 */
export async function rotateApiKey(
  { store, now }: ApiKeyServiceDeps,
  caller: Principal,
  target: ApiKeyTarget,
  overlapMs: number,
  alongside?: Alongside<ApiKeyWithSecret>,
): Promise<ApiKeyWithSecret> {
  if (!(overlapMs >= 0 && overlapMs <= MAX_OVERLAP_MS)) {
    refuseField('overlap', 'must be from 0 to 30 days');
  }
  return withChanges(store, async (trx, changed) => {
    const key = await lockApiKey(trx, caller, target);
    const time = now();
    requireNotRevoked(key);
    requireNotExpired(key, time);
    requireOwnRights(caller, key);
    const secret = createApiKey();
    changed('api_key', key.id);
    const rotated = await addApiKeySecret(trx, key.id, describeSecret(secret, time), time + overlapMs);
    const made = { key: existing(rotated), secret };
    await alongside?.(trx, made);
    return made;
  });
}

/** Revokes a key for good; a revoked one stays as it is. Throws `permission_denied` and `etag_mismatch` as {@link changeApiKey} does. */
export async function endApiKey(
  { store, now }: ApiKeyServiceDeps,
  caller: Principal,
  target: ApiKeyTarget,
): Promise<ApiKeyRecord> {
  return withChanges(store, async (trx, changed) => {
    const key = await lockApiKey(trx, caller, target);
    changed('api_key', key.id);
    return existing(await revokeApiKey(trx, key.id, now()));
  });
}

/** True when the caller may see the key: its own User's, or any of the project for an admin. */
export function maySeeApiKey(caller: Principal, key: Pick<ApiKeyRecord, 'ownerId'>): boolean {
  return key.ownerId === caller.id || hasScope(caller, 'admin');
}

/** The key, with all other writers of the configuration held off. */
async function lockApiKey(trx: Transaction<Database>, caller: Principal, target: ApiKeyTarget): Promise<ApiKeyRecord> {
  await lockConfig(trx);
  const key = await findApiKey(trx, target.id);
  if (key === undefined || key.projectId !== target.projectId || !maySeeApiKey(caller, key)) {
    throw hiddenResource('API key');
  }
  requireRevision('api_key', key, target.revision);
  return key;
}

function describeSecret(secret: string, createTime: number): ApiKeySecret {
  return { secretHash: hashApiKey(secret), keyPrefix: keyPrefixOf(secret), createTime };
}

function grantsOf(caller: Principal): ApiKeyRecord['grants'] {
  return caller.grants === 'all' ? 'all' : [...caller.grants];
}

function requireOwner(caller: Principal, ownerId: PrincipalId): void {
  if (ownerId !== caller.id && !hasScope(caller, 'admin')) {
    const message = 'Only an admin creates API keys for another user. Leave owner_id empty for a key of your own.';
    throw new GatewayError('permission_denied', message, { metadata: { required_permissions: 'admin' } });
  }
}

/** A key must not become a way to more than the credential that made it has. */
function requireOwnRights(caller: Principal, key: Pick<ApiKeyRecord, 'scopes' | 'grants'>): void {
  requireOwnScopes(caller, key.scopes);
  const isCovered =
    key.grants === 'all' ? caller.grants === 'all' : key.grants.every((upstreamId) => isGranted(caller, upstreamId));
  if (!isCovered && !hasScope(caller, 'admin')) {
    const message = "You can't give grants that your credential does not have. Name upstreams that it may reach.";
    throw new GatewayError('permission_denied', message);
  }
}

async function requireFittingOwner(trx: Transaction<Database>, key: ApiKeyRecord): Promise<UserRecord> {
  const owner = await findUser(trx, key.ownerId);
  if (owner === undefined || owner.projectId !== key.projectId) {
    return refuseField('owner_id', 'must be the id of a user of the project');
  }
  const missing = owner.scopes.includes('admin') ? [] : key.scopes.filter((scope) => !owner.scopes.includes(scope));
  if (missing.length > 0) {
    return refuseField('scopes', `go beyond those of the key's owner: ${missing.join(', ')}`);
  }
  return owner;
}

async function requireKnownUpstreams(trx: Transaction<Database>, key: ApiKeyRecord): Promise<void> {
  const ids: readonly UpstreamId[] = key.grants === 'all' ? [] : key.grants;
  const known = new Set<string>();
  for (const upstream of await findUpstreams(trx, ids)) {
    if (upstream.projectId === key.projectId) {
      known.add(upstream.id);
    }
  }
  const unknown = ids.filter((id) => !known.has(id));
  if (unknown.length > 0) {
    refuseField('grants.upstream_ids', `must be ids of upstreams of the project; these are not: ${unknown.join(', ')}`);
  }
}

function requireNotRevoked(key: ApiKeyRecord): void {
  if (key.revokeTime !== undefined) {
    const message = 'The API key is revoked. Create a new one.';
    throw new GatewayError('failed_precondition', message, { metadata: { condition: 'api_key_revoked' } });
  }
}

function requireNotExpired(key: ApiKeyRecord, time: number): void {
  if (key.expireTime !== undefined && key.expireTime <= time) {
    const message = 'The API key has expired. Create a new one.';
    throw new GatewayError('failed_precondition', message, { metadata: { condition: 'api_key_expired' } });
  }
}

/** The row was locked and read before, so it is there. */
function existing(record: ApiKeyRecord | undefined): ApiKeyRecord {
  if (record === undefined) {
    throw hiddenResource('API key');
  }
  return record;
}
