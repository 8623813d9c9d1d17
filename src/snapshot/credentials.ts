import type { ApiKeyRecord, ApiKeySecret } from '../db/api-keys.ts';
import type { UserRecord } from '../db/users.ts';
import type { ApiKeyId, PrincipalId, ProjectId } from '../domain/ids.ts';
import { type Principal, SCOPES, type Scope } from '../domain/principal.ts';

/** One secret of an ApiKey, ready for authentication. Times are Unix milliseconds. */
export interface KeyEntry {
  /** Its scopes are those of the key that its owner has too. */
  readonly principal: Principal;
  /** The key's expiry; absent = does not expire. */
  readonly expireTime?: number;
  /** End of the overlap after a rotation, for the older secret. */
  readonly secretExpireTime?: number;
  readonly revoked: boolean;
  /** True when the owner is disabled or no longer exists. */
  readonly ownerDisabled: boolean;
}

/** A User as the bearer of a token. */
export interface UserEntry {
  readonly principal: Principal;
  readonly disabled: boolean;
  /** Unix milliseconds; tokens issued before are refused. */
  readonly tokensValidAfter: number;
}

/** Users by id and keys by the hash of their secrets. */
export interface Credentials {
  findUser(id: PrincipalId): UserEntry | undefined;
  findKey(secretHash: string): KeyEntry | undefined;
  /** The keys of the user keep what they had of it: put them again. */
  putUser(user: UserRecord): void;
  deleteUser(id: PrincipalId): void;
  putKey(key: ApiKeyRecord): void;
  deleteKey(id: ApiKeyId): void;
  deleteProject(id: ProjectId): void;
}

/** An empty index of credentials; users go in before the keys they own. */
export function createCredentials(): Credentials {
  const users = new Map<PrincipalId, UserEntry>();
  const keys = new Map<string, KeyEntry>();
  const hashes = new Map<ApiKeyId, readonly string[]>();
  const deleteKey = (id: ApiKeyId) => {
    for (const hash of hashes.get(id) ?? []) keys.delete(hash);
    hashes.delete(id);
  };
  return {
    findUser: (id) => users.get(id),
    findKey: (secretHash) => keys.get(secretHash),
    putUser: (user) => void users.set(user.id, toUserEntry(user)),
    deleteUser: (id) => void users.delete(id),
    putKey(key) {
      deleteKey(key.id);
      const owner = key.ownerKind === 'user' ? users.get(key.ownerId) : undefined;
      for (const secret of key.secrets) keys.set(secret.secretHash, toKeyEntry(key, secret, owner));
      hashes.set(
        key.id,
        key.secrets.map((secret) => secret.secretHash),
      );
    },
    deleteKey,
    deleteProject(id) {
      for (const { principal } of keys.values()) {
        if (principal.projectId === id && principal.apiKeyId !== undefined) deleteKey(principal.apiKeyId);
      }
    },
  };
}

function toUserEntry(user: UserRecord): UserEntry {
  const { id, projectId, username: name, scopes, disabled, tokensValidAfter } = user;
  const principal: Principal = { kind: 'user', id, projectId, name, scopes: scopeSet(scopes), grants: 'all' };
  return { principal, disabled, tokensValidAfter };
}

function toKeyEntry(key: ApiKeyRecord, secret: ApiKeySecret, owner: UserEntry | undefined): KeyEntry {
  const expireTime = earlier(key.expireTime, secret.expireTime);
  const principal: Principal = {
    kind: key.ownerKind,
    id: key.ownerId,
    projectId: key.projectId,
    name: owner?.principal.name ?? '',
    scopes: effectiveScopes(key.scopes, owner?.principal.scopes),
    grants: key.grants === 'all' ? 'all' : new Set(key.grants),
    apiKeyId: key.id,
    keyPrefix: secret.keyPrefix,
    ...(expireTime !== undefined && { expireTime }),
  };
  return {
    principal,
    ...(key.expireTime !== undefined && { expireTime: key.expireTime }),
    ...(secret.expireTime !== undefined && { secretExpireTime: secret.expireTime }),
    revoked: key.revokeTime !== undefined,
    // An owner of another project would carry rights across the boundary.
    ownerDisabled: owner === undefined || owner.disabled || owner.principal.projectId !== key.projectId,
  };
}

function earlier(a: number | undefined, b: number | undefined): number | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  return Math.min(a, b);
}

/** What both have; `admin` stands for every scope on either side. */
function effectiveScopes(key: readonly Scope[], owner: ReadonlySet<Scope> | undefined): ReadonlySet<Scope> {
  if (owner === undefined) return scopeSet([]);
  if (owner.has('admin')) return scopeSet(key);
  return key.includes('admin') ? owner : scopeSet(key.filter((scope) => owner.has(scope)));
}

/** Every set of scopes there can be, by the bits of its members: all credentials share these. */
const SCOPE_SETS = new Map<number, ReadonlySet<Scope>>();

function scopeSet(scopes: readonly Scope[]): ReadonlySet<Scope> {
  let bits = 0;
  for (const scope of scopes) bits |= 1 << SCOPES.indexOf(scope);
  const known = SCOPE_SETS.get(bits);
  if (known !== undefined) return known;
  const made = new Set(scopes);
  SCOPE_SETS.set(bits, made);
  return made;
}
