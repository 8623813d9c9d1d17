import type { Kysely } from 'kysely';
import { findAgent } from '../db/agents.ts';
import type { ApiKeyRecord } from '../db/api-keys.ts';
import type { Database } from '../db/database.ts';
import { findGateways } from '../db/gateways.ts';
import { findUpstreams } from '../db/upstreams.ts';
import { findUser } from '../db/users.ts';
import { GatewayError } from '../domain/errors.ts';
import type { ProjectId } from '../domain/ids.ts';
import { hasScope, isGatewayGranted, isGranted, type Principal, type Scope } from '../domain/principal.ts';
import { refuseField, requireOwnScopes } from './access-rules.ts';

type Grants = Pick<ApiKeyRecord, 'grants' | 'gatewayGrants'>;

const OWNER = 'must be the id of a user or an agent of the project';

/** Upstreams or gateways looked up by one statement. */
const CHUNK = 200;

/** Scopes that are for humans only. */
const HUMAN_SCOPES: ReadonlySet<Scope> = new Set(['admin', 'approvals:decide']);

/**
 * True when the caller may make agents and act as them. A credential whose grants name upstreams or gateways may not: by its teams an agent may be
 * allowed more there than the credential's own principal.
 */
export function mayManageAgents(caller: Principal): boolean {
  return hasScope(caller, 'gateway:write') && caller.grants === 'all';
}

/** True when the caller may see and change the key: its own, those of agents if it may manage them, any of the project for an admin. */
export function maySeeApiKey(caller: Principal, key: Pick<ApiKeyRecord, 'ownerKind' | 'ownerId'>): boolean {
  return (
    key.ownerId === caller.id || hasScope(caller, 'admin') || (key.ownerKind === 'agent' && mayManageAgents(caller))
  );
}

/** The grants of the caller's credential, as far as they say something about the project. */
export function grantsOf(caller: Principal, projectId: ProjectId): Grants {
  if (caller.grants === 'all') {
    return { grants: 'all' };
  }
  return caller.projectId === projectId
    ? { grants: [...caller.grants], gatewayGrants: [...(caller.gatewayGrants ?? [])] }
    : { grants: [] };
}

/**
 * The kind of the owner that a new key is to have; whether it exists and fits is checked by {@link requireFittingOwner}. Throws
 * `permission_denied` when the caller names another user without being an admin, or an agent without being allowed to manage agents.
 */
export async function findOwnerKind(
  db: Kysely<Database>,
  caller: Principal,
  { projectId, ownerId }: Pick<ApiKeyRecord, 'projectId' | 'ownerId'>,
): Promise<ApiKeyRecord['ownerKind']> {
  if (ownerId === caller.id) {
    return caller.kind;
  }
  const agent = mayManageAgents(caller) ? await findAgent(db, ownerId) : undefined;
  if (agent?.projectId === projectId) {
    return 'agent';
  }
  if (!hasScope(caller, 'admin')) {
    const message =
      'Only an admin creates API keys for another user, and only a credential that reaches all upstreams for an agent. ' +
      'Leave owner_id empty for a key of your own.';
    throw new GatewayError('permission_denied', message, { metadata: { required_permissions: 'admin' } });
  }
  return 'user';
}

/** Throws `permission_denied` when a key would be a way to more than the credential that asks for it has. */
export function requireOwnRights(caller: Principal, key: Grants & Pick<ApiKeyRecord, 'scopes' | 'expireTime'>): void {
  const { scopes, grants, gatewayGrants = [], expireTime } = key;
  requireOwnScopes(caller, scopes);
  if (caller.apiKeyId !== undefined && (expireTime ?? Infinity) > (caller.expireTime ?? Infinity)) {
    throw new GatewayError(
      'permission_denied',
      'An API key cannot make one that outlives it. Give an earlier expire_time.',
    );
  }
  const isCovered =
    grants === 'all'
      ? caller.grants === 'all'
      : grants.every((id) => isGranted(caller, id)) && gatewayGrants.every((id) => isGatewayGranted(caller, id));
  if (!isCovered) {
    const message =
      "You can't give grants that your credential does not have. Name only upstreams and gateways that are among its own grants.";
    throw new GatewayError('permission_denied', message);
  }
}

/**
 * Throws `validation_failed` when the owner is no user or agent of the project, or may not have the scopes of the key, and
 * `failed_precondition` when it is a REVOKED agent.
 */
export async function requireFittingOwner(db: Kysely<Database>, key: ApiKeyRecord): Promise<void> {
  return key.ownerKind === 'agent' ? requireFittingAgent(db, key) : requireFittingUser(db, key);
}

async function requireFittingAgent(db: Kysely<Database>, key: ApiKeyRecord): Promise<void> {
  const owner = await findAgent(db, key.ownerId);
  if (owner === undefined || owner.projectId !== key.projectId) {
    return refuseField('owner_id', OWNER);
  }
  if (owner.state === 'revoked') {
    const message = `The agent '${owner.slug}' is REVOKED for good, so a key would be of no use. Create another agent.`;
    throw new GatewayError('failed_precondition', message, { metadata: { condition: 'agent_revoked' } });
  }
  const forbidden = key.scopes.filter((scope) => HUMAN_SCOPES.has(scope));
  if (forbidden.length > 0) {
    refuseField('scopes', `are not for agents: ${forbidden.join(', ')}`);
  }
}

async function requireFittingUser(db: Kysely<Database>, key: ApiKeyRecord): Promise<void> {
  const owner = await findUser(db, key.ownerId);
  if (owner === undefined || owner.projectId !== key.projectId) {
    return refuseField('owner_id', OWNER);
  }
  const missing = owner.scopes.includes('admin') ? [] : key.scopes.filter((scope) => !owner.scopes.includes(scope));
  if (missing.length > 0) {
    refuseField('scopes', `go beyond those of the key's owner: ${missing.join(', ')}`);
  }
}

/** Throws `validation_failed` when a grant names something that is not an upstream, or an active gateway, of the project. */
export async function requireKnownGrants(
  db: Kysely<Database>,
  key: Grants & Pick<ApiKeyRecord, 'projectId'>,
): Promise<void> {
  const { projectId, grants, gatewayGrants = [] } = key;
  const isOfProject = (found: { readonly projectId: ProjectId }) => found.projectId === projectId;
  const unknownUpstream = await findUnknown(grants === 'all' ? [] : grants, async (ids) =>
    (await findUpstreams(db, ids)).filter(isOfProject),
  );
  if (unknownUpstream >= 0) {
    refuseField(`grants.upstream_ids[${unknownUpstream}]`, 'is not an upstream of the project');
  }
  const unknownGateway = await findUnknown(gatewayGrants, async (ids) =>
    (await findGateways(db, ids)).filter((gateway) => isOfProject(gateway) && gateway.deleteTime === undefined),
  );
  if (unknownGateway >= 0) {
    refuseField(`grants.gateway_ids[${unknownGateway}]`, 'is not a gateway of the project, or it is deleted');
  }
}

/** Index of the first id that the look-up does not find; -1 when it finds all. */
async function findUnknown(
  ids: readonly string[],
  find: (ids: readonly string[]) => Promise<readonly { readonly id: string }[]>,
): Promise<number> {
  for (let at = 0; at < ids.length; at += CHUNK) {
    const chunk = ids.slice(at, at + CHUNK);
    const known = new Set((await find(chunk)).map(({ id }) => id));
    const unknown = chunk.findIndex((id) => !known.has(id));
    if (unknown >= 0) {
      return at + unknown;
    }
  }
  return -1;
}
