import { GatewayError } from '../domain/errors.ts';
import { hasScope, type Principal, type Scope } from '../domain/principal.ts';
import { findTarget, isRefusal } from '../pipeline/target.ts';
import type { HotConfig } from '../snapshot/hot-config.ts';
import type { McpRequest } from './exchange.ts';

/** How often an open stream's caller is checked again, so that a revocation ends it within a second or so. */
const CHECK_MS = 1_000;

export interface StreamGuardDeps {
  readonly config: Pick<HotConfig, 'findUpstream' | 'findGateway' | 'upstreams'>;
  /** Aborted when the process stops. */
  readonly stopping: AbortSignal;
}

/**
 * Ends a stream that only listens, in order, when its caller may not have it any more or the process stops; the returned function
 * stops watching over it.
 */
export function guardStream(
  deps: StreamGuardDeps,
  stream: McpRequest,
  anyOf: readonly Scope[],
  end: () => void = () => stream.response.end(),
): () => void {
  const stopChecking = watchAccess(deps, stream, anyOf, end);
  deps.stopping.addEventListener('abort', end);
  return () => {
    stopChecking();
    deps.stopping.removeEventListener('abort', end);
  };
}

/** Checks a caller's right to an open stream again and again, until the returned function is called; `onLoss` takes what it lacks. */
export function watchAccess(
  deps: Pick<StreamGuardDeps, 'config'>,
  stream: McpRequest,
  anyOf: readonly Scope[],
  onLoss: (error: unknown) => void,
): () => void {
  const check = async () => requireAccess(deps, stream, await stream.authenticate(), anyOf);
  const timer = setInterval(() => void check().catch(onLoss), CHECK_MS);
  return () => clearInterval(timer);
}

function requireAccess(
  deps: Pick<StreamGuardDeps, 'config'>,
  stream: McpRequest,
  principal: Principal,
  anyOf: readonly Scope[],
): void {
  const hasAccess =
    (principal.agentState ?? 'active') === 'active' &&
    !isRefusal(findTarget(deps.config, principal, stream.target.id)) &&
    anyOf.some((scope) => hasScope(principal, scope));
  if (!hasAccess) {
    throw new GatewayError('permission_denied', 'The caller may not use this upstream or gateway any more.');
  }
}
