import { GatewayError } from '../domain/errors.ts';
import { hasScope, type Principal, type Scope } from '../domain/principal.ts';

/** What can be named by an id and has a revision. */
type ResourceKind = 'user' | 'api_key';

/** The refusal for what belongs to another project or user, or does not exist: which of these is not told (api.md rule 8). */
export function hiddenResource(kind: ResourceKind, id: string): GatewayError {
  const message = `The credential has no access to the ${kind} "${id}" (or it might not exist).`;
  return new GatewayError('permission_denied', message);
}

/** Throws `etag_mismatch` when the resource has another revision than the one that was read; undefined = any. */
export function requireRevision(
  kind: ResourceKind,
  record: { readonly id: string; readonly revision: number },
  revision: number | undefined,
): void {
  if (revision !== undefined && revision !== record.revision) {
    const message = `The ${kind} was changed since it was read. Read it again and repeat the change.`;
    throw new GatewayError('etag_mismatch', message, { metadata: { resource: kind, id: record.id } });
  }
}

/** Throws `permission_denied` when the scopes go beyond those of the caller's credential. */
export function requireOwnScopes(caller: Principal, scopes: readonly Scope[]): void {
  const missing = scopes.filter((scope) => !hasScope(caller, scope));
  if (missing.length > 0) {
    const message = `You can't give scopes that your credential does not carry: ${missing.join(', ')}.`;
    throw new GatewayError('permission_denied', message, { metadata: { required_permissions: missing.join(',') } });
  }
}

/** Throws `validation_failed` for one field. */
export function refuseField(field: string, description: string): never {
  throw new GatewayError('validation_failed', `${field} ${description}.`, { violations: [{ field, description }] });
}
