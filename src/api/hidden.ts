import { GatewayError } from '../domain/errors.ts';

/** The one answer for what does not exist and for what the caller may not see, so that nobody can tell them apart; `advice` may follow it. */
export function hidden(kind: string, name: string, advice = ''): GatewayError {
  return new GatewayError(
    'permission_denied',
    `The credential has no access to the ${kind} "${name}" (or it might not exist).${advice === '' ? '' : ` ${advice}`}`,
  );
}
