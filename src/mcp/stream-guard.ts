import { GatewayError } from '../domain/errors.ts';
import { hasScope, isGranted, type Principal, type Scope } from '../domain/principal.ts';
import type { HotConfig } from '../snapshot/hot-config.ts';
import type { McpRequest } from './exchange.ts';

/** How often an open stream's caller is checked again, so that a revocation ends it within a second or so. */
const CHECK_MS = 1_000;

export interface StreamGuardDeps {
  readonly config: Pick<HotConfig, 'findUpstream'>;
  /** Aborted when the process stops. */
  readonly stopping: AbortSignal;
}

/**
 * Ends a stream that only listens, in order, when its caller may not have it any more or the process stops; the returned function
 * stops watching over it.
 */
export function guardStream(deps: StreamGuardDeps, stream: McpRequest, anyOf: readonly Scope[]): () => void {
  const { response } = stream;
  const end = () => response.end();
  const check = async () => requireAccess(deps, stream, await stream.authenticate(), anyOf);
  const timer = setInterval(() => void check().catch(end), CHECK_MS);
  deps.stopping.addEventListener('abort', end);
  return () => {
    clearInterval(timer);
    deps.stopping.removeEventListener('abort', end);
  };
}

function requireAccess(deps: StreamGuardDeps, stream: McpRequest, principal: Principal, anyOf: readonly Scope[]): void {
  const upstream = deps.config.findUpstream(principal.projectId, stream.upstream.id);
  const mayListen =
    upstream?.enabled && isGranted(principal, upstream.id) && anyOf.some((scope) => hasScope(principal, scope));
  if (!mayListen) {
    throw new GatewayError('permission_denied', 'The caller may not listen to this upstream any more.');
  }
}
