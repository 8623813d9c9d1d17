import type { MessageInitShape } from '@bufbuild/protobuf';
import { durationFromMs } from '@bufbuild/protobuf/wkt';
import { Code, ConnectError } from '@connectrpc/connect';
import {
  BadRequestSchema,
  ErrorInfoSchema,
  RequestInfoSchema,
  RetryInfoSchema,
} from '../../gen/google/rpc/error_details_pb.ts';
import { type ErrorReason, GatewayError } from '../domain/errors.ts';
import { findUnstorableText } from './unstorable-text.ts';

/** The canonical code of each reason. */
const CODES: Readonly<Record<ErrorReason, Code>> = {
  invalid_api_key: Code.Unauthenticated,
  api_key_expired: Code.Unauthenticated,
  api_key_revoked: Code.Unauthenticated,
  invalid_credentials: Code.Unauthenticated,
  token_expired: Code.Unauthenticated,
  permission_denied: Code.PermissionDenied,
  not_found: Code.NotFound,
  already_exists: Code.AlreadyExists,
  etag_mismatch: Code.Aborted,
  validation_failed: Code.InvalidArgument,
  page_token_invalid: Code.InvalidArgument,
  cursor_invalid: Code.InvalidArgument,
  failed_precondition: Code.FailedPrecondition,
  method_not_allowed: Code.Unimplemented,
  payload_too_large: Code.ResourceExhausted,
  rate_limit_exceeded: Code.ResourceExhausted,
  plan_limit_exceeded: Code.ResourceExhausted,
  budget_exceeded: Code.ResourceExhausted,
  policy_denied: Code.PermissionDenied,
  approval_required: Code.FailedPrecondition,
  era_mismatch: Code.FailedPrecondition,
  upstream_timeout: Code.DeadlineExceeded,
  bad_gateway: Code.Unavailable,
  unavailable: Code.Unavailable,
  canceled: Code.Canceled,
  internal: Code.Internal,
};

/** What the framework itself refuses, by its code. */
const FRAMEWORK_REASONS: Readonly<Partial<Record<Code, ErrorReason>>> = {
  [Code.Canceled]: 'canceled',
  [Code.DeadlineExceeded]: 'canceled',
  [Code.InvalidArgument]: 'validation_failed',
  [Code.ResourceExhausted]: 'payload_too_large',
  [Code.Unimplemented]: 'method_not_allowed',
  [Code.Unavailable]: 'unavailable',
};

/** An error in both forms: what the caller gets, and why it was really thrown. */
export interface ApiFailure {
  readonly sent: ConnectError;
  readonly reason: ErrorReason;
}

/**
 * The error as the caller gets it: canonical code, ErrorInfo, RequestInfo and what else the GatewayError holds. Anything that the caller
 * did not cause becomes `internal` in general terms; the original stays its `cause`, which is never sent.
 */
export function toApiFailure(error: unknown, requestId: string): ApiFailure {
  if (error instanceof GatewayError) {
    return { sent: fromGatewayError(error, requestId), reason: error.reason };
  }
  const reason = error instanceof ConnectError ? FRAMEWORK_REASONS[error.code] : undefined;
  if (error instanceof ConnectError && reason !== undefined) {
    const details = createDetails(reason, {}, requestId);
    const message = toSendable(error.rawMessage);
    return { sent: new ConnectError(message, error.code, error.metadata, details, error.cause), reason };
  }
  if (error instanceof Error && error.name === 'AbortError') {
    return toApiFailure(new GatewayError('canceled', 'The caller went away.', { cause: error }), requestId);
  }
  const unstorable = findUnstorableText(error);
  return unstorable === undefined
    ? { sent: internalError(error, requestId), reason: 'internal' }
    : toApiFailure(unstorable, requestId);
}

function fromGatewayError(error: GatewayError, requestId: string): ConnectError {
  if (error.reason === 'internal') {
    return internalError(error, requestId);
  }
  const details: Detail[] = createDetails(error.reason, error.metadata, requestId);
  if (error.violations.length > 0) {
    details.push({
      desc: BadRequestSchema,
      value: { fieldViolations: error.violations.map((field) => ({ ...field })) },
    });
  }
  if (error.retryAfterMs !== undefined) {
    details.push({ desc: RetryInfoSchema, value: { retryDelay: durationFromMs(error.retryAfterMs) } });
  }
  return new ConnectError(toSendable(error.message), CODES[error.reason], undefined, details, error);
}

/** Longest message in characters, with room for what is said beside the violations: gRPC answers with it in a header. */
const MAX_MESSAGE = 5_000;

/** A text that a header can carry: not too long, and without the half characters that a cut, or a client, may have left in it. */
function toSendable(message: string): string {
  return message.slice(0, MAX_MESSAGE).toWellFormed();
}

function internalError(cause: unknown, requestId: string): ConnectError {
  const message = `The server failed to answer. Its log has the details under the request id ${requestId}.`;
  return new ConnectError(message, Code.Internal, undefined, createDetails('internal', {}, requestId), cause);
}

type Detail =
  | { desc: typeof ErrorInfoSchema; value: MessageInitShape<typeof ErrorInfoSchema> }
  | { desc: typeof RequestInfoSchema; value: MessageInitShape<typeof RequestInfoSchema> }
  | { desc: typeof BadRequestSchema; value: MessageInitShape<typeof BadRequestSchema> }
  | { desc: typeof RetryInfoSchema; value: MessageInitShape<typeof RetryInfoSchema> };

function createDetails(reason: ErrorReason, metadata: GatewayError['metadata'], requestId: string): Detail[] {
  const name = `ERROR_REASON_${reason.toUpperCase()}`;
  return [
    { desc: ErrorInfoSchema, value: { reason: name, domain: 'portcullis', metadata: { ...metadata } } },
    { desc: RequestInfoSchema, value: { requestId } },
  ];
}
