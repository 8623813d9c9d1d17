/**
 * Why a request failed, as the caller reads it. On the MCP edge it is the `error.code` string; in the API it is the
 * `ErrorInfo.reason` enum value `ERROR_REASON_<UPPER CASE>`. The set is closed.
 */
export type ErrorReason =
  | 'invalid_api_key'
  | 'api_key_expired'
  | 'api_key_revoked'
  | 'invalid_credentials'
  | 'token_expired'
  | 'permission_denied'
  | 'not_found'
  | 'already_exists'
  | 'etag_mismatch'
  | 'validation_failed'
  | 'page_token_invalid'
  | 'cursor_invalid'
  | 'failed_precondition'
  | 'method_not_allowed'
  | 'payload_too_large'
  | 'rate_limit_exceeded'
  | 'plan_limit_exceeded'
  | 'budget_exceeded'
  | 'policy_denied'
  | 'approval_required'
  | 'era_mismatch'
  | 'upstream_timeout'
  | 'bad_gateway'
  | 'unavailable'
  | 'canceled'
  | 'internal';

/** A field of a request that breaks a rule; `field` is a path such as `upstream.slug`. */
export interface FieldViolation {
  readonly field: string;
  readonly description: string;
}

export interface GatewayErrorOptions {
  /** Variable text for machines, such as `{ required_scope: 'gateway:write' }`; never a secret. */
  readonly metadata?: Readonly<Record<string, string>>;
  readonly violations?: readonly FieldViolation[];
  /** How long a client should wait before it repeats the request, in milliseconds. */
  readonly retryAfterMs?: number;
  readonly cause?: unknown;
}

/** The one error of the gateway. Its message is written for the caller: it says what to do, and holds no secret. */
export class GatewayError extends Error {
  override readonly name = 'GatewayError';
  readonly reason: ErrorReason;
  readonly metadata: Readonly<Record<string, string>>;
  readonly violations: readonly FieldViolation[];
  readonly retryAfterMs: number | undefined;

  constructor(reason: ErrorReason, message: string, options: GatewayErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.reason = reason;
    this.metadata = options.metadata ?? {};
    this.violations = options.violations ?? [];
    this.retryAfterMs = options.retryAfterMs;
  }
}
