import type { PrincipalId, ProjectId } from './ids.ts';

/** ACTIVE agents are decided by the rules; the calls of others are denied, of REVOKED ones for good. */
export type AgentState = 'active' | 'suspended' | 'revoked';

/** A program that acts. Immutable; a change makes a new object with a higher revision. */
export interface Agent {
  readonly id: PrincipalId;
  readonly projectId: ProjectId;
  readonly slug: string;
  readonly displayName: string;
  readonly description: string;
  readonly state: AgentState;
  /** The User who answers for it; absent = nobody. */
  readonly ownerId?: PrincipalId;
  readonly teams: readonly string[];
  readonly revision: number;
  readonly createTime: number;
  readonly updateTime: number;
}
