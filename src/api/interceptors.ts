import type { HandlerContext, Interceptor } from '@connectrpc/connect';
import type { Logger } from 'pino';
import { checkAccess, findAccess, type IsOperator } from './access.ts';
import { getRequestFacts } from './context.ts';
import { createRequestLog, logRefusal } from './request-log.ts';
import { createValidation } from './validation.ts';

export interface InterceptorDeps {
  readonly log: Logger;
  readonly isOperator: IsOperator;
  /** Throws `unavailable` while this replica cannot read what was changed, such as a key that was revoked. */
  readonly requireFreshConfig: () => void;
}

/** What every request passes, in this order, after the request gate; the first is the outer one. */
export function createInterceptors(deps: InterceptorDeps): Interceptor[] {
  return [createRequestLog(deps.log), createValidation()];
}

/**
 * Runs before a request's body is read, and so before all interceptors: who may not call the method learns nothing about its input,
 * and costs no parsing.
 */
export function createRequestGate(deps: InterceptorDeps): (context: HandlerContext) => void {
  return (context) => {
    try {
      if (findAccess(context.method)?.case !== 'public') {
        deps.requireFreshConfig();
      }
      checkAccess(context, deps.isOperator);
    } catch (error) {
      throw logRefusal(deps.log, context.method, getRequestFacts(context.values), error);
    }
  };
}
