import { GatewayError } from '../domain/errors.ts';
import type { Principal } from '../domain/principal.ts';

/** Throws `permission_denied` for a credential whose grants name upstreams or gateways; `action` is what it cannot do, such as `create one`. */
export function requireFullGrants(caller: Principal, action: string): void {
  if (caller.grants !== 'all') {
    const message = `A credential whose grants name upstreams or gateways cannot ${action}. Use one that reaches all upstreams.`;
    throw new GatewayError('permission_denied', message);
  }
}
