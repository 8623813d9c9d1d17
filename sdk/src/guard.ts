/** The guard for MCP servers: asks Portcullis before a tool's handler runs. */
export { createGuard, type Guard } from './guard/create-guard.ts';
export { AuthorizationDeniedError, type Denial, type DenialKind, type DeniedResult } from './guard/denial.ts';
export { type GuardableServer, type GuardMiddlewareOptions, guardMiddleware } from './guard/guard-middleware.ts';
export type { GuardOptions, OnDenied } from './guard/guard-options.ts';
