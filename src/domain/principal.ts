import type { AgentState } from './agent.ts';
import type { ApiKeyId, GatewayId, PrincipalId, ProjectId, UpstreamId } from './ids.ts';

/** Every scope, in the order of product.md's table. `admin` includes all others. */
export const SCOPES = ['gateway:read', 'gateway:write', 'tools:call', 'approvals:decide', 'admin'] as const;

export type Scope = (typeof SCOPES)[number];

/** Which upstreams a credential may reach: all of its project, or those named by id. */
export type Grants = 'all' | ReadonlySet<UpstreamId>;

/** Who makes a request: a User or an Agent, as one credential presents it. Immutable; one object a credential and replica. */
export interface Principal {
  readonly kind: 'user' | 'agent';
  readonly id: PrincipalId;
  readonly projectId: ProjectId;
  /** The user name or agent slug, for people who read decisions. */
  readonly name: string;
  readonly scopes: ReadonlySet<Scope>;
  readonly grants: Grants;
  /** Gateways that the credential may reach, with all of their upstreams, where `grants` is not `all`; absent = none. */
  readonly gatewayGrants?: ReadonlySet<GatewayId>;
  /** The ApiKey that was presented; absent for a JWT. */
  readonly apiKeyId?: ApiKeyId;
  /** The public part of that key, such as `pc_3kf9a2`. */
  readonly keyPrefix?: string;
  /** Names of teams, for the subjects of policies. */
  readonly teams: readonly string[];
  /** For an Agent: whether it may act; absent for a User. */
  readonly agentState?: AgentState;
  /** For an Agent: the User who answers for it. */
  readonly ownerId?: PrincipalId;
  /** The User whose credential asks in the name of this principal; absent when it asks for itself. */
  readonly askedById?: PrincipalId;
  /** Unix milliseconds after which this credential is refused; absent = does not expire. */
  readonly expireTime?: number;
}

/** True when the principal's credential carries the scope, directly or through `admin`. */
export function hasScope(principal: Principal, scope: Scope): boolean {
  return principal.scopes.has(scope) || principal.scopes.has('admin');
}

/** True when the credential's grants cover the gateway. */
export function isGatewayGranted(principal: Principal, gatewayId: GatewayId): boolean {
  return principal.grants === 'all' || principal.gatewayGrants?.has(gatewayId) === true;
}

/** True when the credential's grants cover the upstream. */
export function isGranted(principal: Principal, upstreamId: UpstreamId): boolean {
  return principal.grants === 'all' || principal.grants.has(upstreamId);
}
