/** The client of Portcullis. Messages, schemas and enums are in `@portcullis/sdk/proto`. */
export { type CallOptions, Code } from '@connectrpc/connect';
export {
  type ConnectionOptions,
  createPortcullisClient,
  type HttpOptions,
  type PortcullisClient,
  type PortcullisClientOptions,
  type TransportOptions,
} from './client.ts';
export type { CredentialOptions, CredentialSource } from './credentials.ts';
export {
  type FieldViolation,
  type GatewayErrorReason,
  isPortcullisError,
  PortcullisError,
  type PortcullisErrorOptions,
  type PortcullisErrorReason,
} from './errors.ts';
export { type LoginOptions, login } from './login.ts';
export { type PageItem, paginate } from './paginate.ts';
export { type WatchApprovalsOptions, type WatchedApproval, watchApprovals } from './watch-approvals.ts';
export type { WatchCallbacks } from './watch-callbacks.ts';
export { type WatchedDecision, type WatchOptions, type WatchRequest, watchDecisions } from './watch-decisions.ts';
