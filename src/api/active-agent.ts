import { GatewayError } from '../domain/errors.ts';
import type { Principal } from '../domain/principal.ts';

/** Throws `permission_denied` for an agent that is not ACTIVE: it may do nothing. */
export function requireActive({ name, agentState = 'active' }: Principal): void {
  if (agentState !== 'active') {
    const message = `The agent '${name}' is ${agentState.toUpperCase()}, so it may do nothing.`;
    throw new GatewayError('permission_denied', message, { metadata: { agent_state: agentState } });
  }
}
