import type { RateScope } from '../domain/policy.ts';
import type { PolicyCall } from './policy-call.ts';

/** Session state is forgotten so long after it was last changed. */
export const SESSION_STATE_MS = 30 * 86_400_000;

/** Whose calls are counted together with this one; text that tells the subjects of one scope apart. */
export function stateSubjectOf(scope: RateScope, { principal, session }: PolicyCall): string {
  switch (scope) {
    case 'agent':
      return principal.id;
    case 'user':
      return principal.ownerId ?? principal.id;
    case 'session':
      return session === undefined ? `principal/${principal.id}` : `${principal.id}/${session}`;
    case 'global':
      return 'all';
  }
}
