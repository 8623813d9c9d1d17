import type { ApiKeyRecord, ApiKeySecret } from '../db/api-keys.ts';
import type { UserRecord } from '../db/users.ts';
import type { Agent } from '../domain/agent.ts';
import type { ApiKeyId, PrincipalId, ProjectId } from '../domain/ids.ts';
import { type Principal, SCOPES, type Scope } from '../domain/principal.ts';

/** One secret of an ApiKey, ready for authentication. Times are Unix milliseconds. */
export interface KeyEntry {
  /** Of a User's key: its scopes are those of the key that the User has too. Of an Agent's: those of the key that agents may have. */
  readonly principal: Principal;
  /** The key's expiry; absent = does not expire. */
  readonly expireTime?: number;
  /** End of the overlap after a rotation, for the older secret. */
  readonly secretExpireTime?: number;
  readonly revoked: boolean;
  /** True when the owner is a disabled User or no longer exists. Whether an Agent is ACTIVE is for its calls to see. */
  readonly ownerDisabled: boolean;
}

/** A User as the bearer of a token. */
export interface UserEntry {
  readonly principal: Principal;
  readonly disabled: boolean;
  /** Unix milliseconds; tokens issued before are refused. */
  readonly tokensValidAfter: number;
}

/** Users by id and the keys of users and agents by the hash of their secrets. */
export interface Credentials {
  findUser(id: PrincipalId): UserEntry | undefined;
  findKey(secretHash: string): KeyEntry | undefined;
  /** The keys of the user keep what they had of it: put them again. */
  putUser(user: UserRecord): void;
  deleteUser(id: PrincipalId): void;
  putKey(key: ApiKeyRecord): void;
  deleteKey(id: ApiKeyId): void;
  deleteKeysOf(ownerId: PrincipalId): void;
  deleteProject(id: ProjectId): void;
}

/** An empty index of credentials; users and agents are there before the keys they own. */
export function createCredentials(findAgent: (id: PrincipalId) => Agent | undefined): Credentials {
  const users = new Map<PrincipalId, UserEntry>();
  const keys = new Map<string, KeyEntry>();
  const hashes = new Map<ApiKeyId, readonly string[]>();
  const deleteKey = (id: ApiKeyId) => {
    for (const hash of hashes.get(id) ?? []) keys.delete(hash);
    hashes.delete(id);
  };
  const deleteKeysWhere = (isGone: (principal: Principal) => boolean) => {
    for (const { principal } of keys.values()) {
      if (principal.apiKeyId !== undefined && isGone(principal)) deleteKey(principal.apiKeyId);
    }
  };
  return {
    findUser: (id) => users.get(id),
    findKey: (secretHash) => keys.get(secretHash),
    putUser: (user) => void users.set(user.id, toUserEntry(user)),
    deleteUser: (id) => void users.delete(id),
    putKey(key) {
      deleteKey(key.id);
      const owner =
        key.ownerKind === 'user' ? fromUser(key, users.get(key.ownerId)) : fromAgent(key, findAgent(key.ownerId));
      for (const secret of key.secrets) keys.set(secret.secretHash, toKeyEntry(key, secret, owner));
      hashes.set(
        key.id,
        key.secrets.map((secret) => secret.secretHash),
      );
    },
    deleteKey,
    deleteKeysOf: (ownerId) => deleteKeysWhere((principal) => principal.id === ownerId),
    deleteProject: (id) => deleteKeysWhere((principal) => principal.projectId === id),
  };
}

function toUserEntry(user: UserRecord): UserEntry {
  const { id, projectId, username: name, scopes, teams, disabled, tokensValidAfter } = user;
  const principal: Principal = { kind: 'user', id, projectId, name, scopes: scopeSet(scopes), grants: 'all', teams };
  return { principal, disabled, tokensValidAfter };
}

/** What a key has of its owner. */
interface Owner {
  readonly facts: Pick<Principal, 'name' | 'scopes' | 'teams' | 'agentState' | 'ownerId'>;
  readonly disabled: boolean;
}

const nobody: Owner = { facts: { name: '', scopes: new Set(), teams: [] }, disabled: true };

function fromUser(key: ApiKeyRecord, user: UserEntry | undefined): Owner {
  if (user === undefined) return nobody;
  const { name, projectId, teams, scopes } = user.principal;
  return {
    facts: { name, teams, scopes: effectiveScopes(key.scopes, scopes) },
    disabled: user.disabled || isForeign(key, projectId),
  };
}

function fromAgent(key: ApiKeyRecord, agent: Agent | undefined): Owner {
  if (agent === undefined) return nobody;
  const { slug, projectId, state, ownerId, teams } = agent;
  const scopes = scopeSet(key.scopes.filter((scope) => !HUMAN_SCOPES.has(scope)));
  return {
    facts: { name: slug, teams, scopes, agentState: state, ...(ownerId !== undefined && { ownerId }) },
    disabled: isForeign(key, projectId),
  };
}

/** What only users may do, whatever the key of an agent says. */
const HUMAN_SCOPES: ReadonlySet<Scope> = new Set(['admin', 'approvals:decide']);

/** An owner of another project would carry rights across the boundary. */
function isForeign(key: ApiKeyRecord, projectId: ProjectId): boolean {
  return projectId !== key.projectId;
}

function toKeyEntry(key: ApiKeyRecord, secret: ApiKeySecret, { facts, disabled }: Owner): KeyEntry {
  const expireTime = earlier(key.expireTime, secret.expireTime);
  const principal: Principal = {
    kind: key.ownerKind,
    id: key.ownerId,
    projectId: key.projectId,
    ...facts,
    grants: key.grants === 'all' ? 'all' : new Set(key.grants),
    ...(key.gatewayGrants !== undefined && { gatewayGrants: new Set(key.gatewayGrants) }),
    apiKeyId: key.id,
    keyPrefix: secret.keyPrefix,
    ...(expireTime !== undefined && { expireTime }),
  };
  return {
    principal,
    ...(key.expireTime !== undefined && { expireTime: key.expireTime }),
    ...(secret.expireTime !== undefined && { secretExpireTime: secret.expireTime }),
    revoked: key.revokeTime !== undefined,
    ownerDisabled: disabled,
  };
}

function earlier(a: number | undefined, b: number | undefined): number | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  return Math.min(a, b);
}

/** What both have; `admin` stands for every scope on either side. */
function effectiveScopes(key: readonly Scope[], owner: ReadonlySet<Scope>): ReadonlySet<Scope> {
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
