import type { Kysely } from 'kysely';
import type { ApiKeyRecord } from '../db/api-keys.ts';
import type { Database } from '../db/database.ts';
import { findUpstreams } from '../db/upstreams.ts';
import { findUser } from '../db/users.ts';
import { GatewayError } from '../domain/errors.ts';
import type { PrincipalId, ProjectId } from '../domain/ids.ts';
import { hasScope, isGranted, type Principal } from '../domain/principal.ts';
import { refuseField, requireOwnScopes } from './access-rules.ts';

type Grants = ApiKeyRecord['grants'];

/** Upstreams looked up by one statement. */
const CHUNK = 200;

/** True when the caller may see and change the key: its own User's, or any of the project for an admin. */
export function maySeeApiKey(caller: Principal, key: Pick<ApiKeyRecord, 'ownerId'>): boolean {
  return key.ownerId === caller.id || hasScope(caller, 'admin');
}

/** The grants of the caller's credential, as far as they say something about the project. */
export function grantsOf(caller: Principal, projectId: ProjectId): Grants {
  if (caller.grants === 'all') {
    return 'all';
  }
  return caller.projectId === projectId ? [...caller.grants] : [];
}

/** Throws `permission_denied` when somebody other than an admin names another owner than itself. */
export function requireOwner(caller: Principal, ownerId: PrincipalId): void {
  if (ownerId !== caller.id && !hasScope(caller, 'admin')) {
    const message = 'Only an admin creates API keys for another user. Leave owner_id empty for a key of your own.';
    throw new GatewayError('permission_denied', message, { metadata: { required_permissions: 'admin' } });
  }
}

/** Throws `permission_denied` when a key would be a way to more than the credential that asks for it has. */
export function requireOwnRights(caller: Principal, key: Pick<ApiKeyRecord, 'scopes' | 'grants' | 'expireTime'>): void {
  const { scopes, grants, expireTime } = key;
  requireOwnScopes(caller, scopes);
  if (caller.apiKeyId !== undefined && (expireTime ?? Infinity) > (caller.expireTime ?? Infinity)) {
    throw new GatewayError(
      'permission_denied',
      'An API key cannot make one that outlives it. Give an earlier expire_time.',
    );
  }
  const isCovered = grants === 'all' ? caller.grants === 'all' : grants.every((id) => isGranted(caller, id));
  if (!isCovered) {
    const message = "You can't give grants that your credential does not have. Name only upstreams that it may reach.";
    throw new GatewayError('permission_denied', message);
  }
}

/** Throws `validation_failed` when the owner is no user of the project, or has fewer scopes than the key. */
export async function requireFittingOwner(db: Kysely<Database>, key: ApiKeyRecord): Promise<void> {
  const owner = await findUser(db, key.ownerId);
  if (owner === undefined || owner.projectId !== key.projectId) {
    return refuseField('owner_id', 'must be the id of a user of the project');
  }
  const missing = owner.scopes.includes('admin') ? [] : key.scopes.filter((scope) => !owner.scopes.includes(scope));
  if (missing.length > 0) {
    refuseField('scopes', `go beyond those of the key's owner: ${missing.join(', ')}`);
  }
}

/** Throws `validation_failed` when a grant names something that is not an upstream of the project. */
export async function requireKnownUpstreams(db: Kysely<Database>, key: ApiKeyRecord): Promise<void> {
  const ids = key.grants === 'all' ? [] : key.grants;
  for (let at = 0; at < ids.length; at += CHUNK) {
    const chunk = ids.slice(at, at + CHUNK);
    const found = await findUpstreams(db, chunk);
    const known = new Set(found.filter(({ projectId }) => projectId === key.projectId).map(({ id }) => id));
    const unknown = chunk.findIndex((id) => !known.has(id));
    if (unknown >= 0) {
      refuseField(`grants.upstream_ids[${at + unknown}]`, 'is not an upstream of the project');
    }
  }
}
