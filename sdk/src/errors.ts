import { Code } from '@connectrpc/connect';
import type { ErrorReason } from '../../gen/portcullis/v1/error_reason_pb.ts';

/** The reasons that the gateway gives, as their names in the contract without the prefix, in lower case. */
export type GatewayErrorReason = Lowercase<Exclude<keyof typeof ErrorReason, 'UNSPECIFIED'>>;

/**
 * Why a call failed: what the gateway said, or one of two reasons of the SDK itself. `connection_failed`: no whole answer of the gateway
 * came, and it may have acted on the call. `unknown`: the answer holds no reason that this version of the SDK knows; go by the code.
 */
export type PortcullisErrorReason = GatewayErrorReason | 'connection_failed' | 'unknown';

/** A field of a request that breaks a rule; `field` is a path such as `transport.url`. */
export interface FieldViolation {
  readonly field: string;
  readonly description: string;
}

export interface PortcullisErrorOptions {
  /** The canonical code; `Code.Unknown` by default. */
  readonly code?: Code;
  readonly metadata?: Readonly<Record<string, string>>;
  readonly violations?: readonly FieldViolation[];
  readonly retryAfterMs?: number | undefined;
  readonly requestId?: string | undefined;
  readonly cause?: unknown;
}

/** The one error of every call. */
export class PortcullisError extends Error {
  override readonly name = 'PortcullisError';
  readonly reason: PortcullisErrorReason;
  /** The canonical code; decides what to do about a reason that is `unknown`. */
  readonly code: Code;
  /** The variable parts of the message, such as `required_permissions` or `call_id`; the contract lists them by reason. */
  readonly metadata: Readonly<Record<string, string>>;
  /** Every field that breaks a rule; empty unless the reason is `validation_failed`. */
  readonly violations: readonly FieldViolation[];
  /** How long to wait before a retry, in milliseconds; undefined when the gateway did not say. */
  readonly retryAfterMs: number | undefined;
  /** Names the request in the gateway's log; undefined when no answer came. */
  readonly requestId: string | undefined;

  constructor(reason: PortcullisErrorReason, message: string, options: PortcullisErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.reason = reason;
    this.code = options.code ?? Code.Unknown;
    this.metadata = options.metadata ?? {};
    this.violations = options.violations ?? [];
    this.retryAfterMs = options.retryAfterMs;
    this.requestId = options.requestId;
  }
}

/** True for an error of a call, and, when a reason is given, only for that reason. */
export function isPortcullisError<Reason extends PortcullisErrorReason = PortcullisErrorReason>(
  error: unknown,
  reason?: Reason,
): error is PortcullisError & { readonly reason: Reason } {
  return error instanceof PortcullisError && (reason === undefined || error.reason === reason);
}
