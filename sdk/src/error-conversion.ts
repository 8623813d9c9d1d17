import { durationMs } from '@bufbuild/protobuf/wkt';
import { Code, ConnectError } from '@connectrpc/connect';
import {
  BadRequestSchema,
  ErrorInfoSchema,
  RequestInfoSchema,
  RetryInfoSchema,
} from '../../gen/google/rpc/error_details_pb.ts';
import { ErrorReason } from '../../gen/portcullis/v1/error_reason_pb.ts';
import { type GatewayErrorReason, PortcullisError, type PortcullisErrorReason } from './errors.ts';

const DOMAIN = 'portcullis';
const REASON_PREFIX = 'ERROR_REASON_';

/** Turns whatever a transport throws into the one error of the SDK; the original becomes its `cause`. */
export function toPortcullisError(error: unknown): PortcullisError {
  if (error instanceof PortcullisError) {
    return error;
  }
  const failure = ConnectError.from(error);
  // An error of the SDK that travelled through the transport, such as the reason of an abort.
  if (failure.cause instanceof PortcullisError) {
    return failure.cause;
  }
  return isCutOff(failure) ? connectionFailure(failure) : fromAnswer(failure);
}

/** The reason of that name, with or without the prefix and in any case, or `unknown`. */
export function toReason(name: string): PortcullisErrorReason {
  const key = name.toUpperCase().replace(REASON_PREFIX, '');
  // The name is checked against the enum that the type is made from.
  return key !== 'UNSPECIFIED' && Object.hasOwn(ErrorReason, key)
    ? (key.toLowerCase() as GatewayErrorReason)
    : 'unknown';
}

/** The wait that a `Retry-After` header in seconds asks for, in milliseconds; undefined for its date form and without one. */
export function retryAfterOf(headers: Headers): number | undefined {
  const text = headers.get('retry-after');
  return text !== null && /^\d{1,9}$/.test(text) ? Number(text) * 1000 : undefined;
}

function fromAnswer(failure: ConnectError): PortcullisError {
  const info = failure.findDetails(ErrorInfoSchema).find(({ domain }) => domain === DOMAIN);
  const [retry] = failure.findDetails(RetryInfoSchema);
  const [request] = failure.findDetails(RequestInfoSchema);
  const [badRequest] = failure.findDetails(BadRequestSchema);
  const fields = badRequest?.fieldViolations ?? [];
  return new PortcullisError(info === undefined ? reasonOfCode(failure.code) : toReason(info.reason), textOf(failure), {
    code: failure.code,
    metadata: { ...info?.metadata },
    violations: fields.map(({ field, description }) => ({ field, description })),
    retryAfterMs: retry?.retryDelay === undefined ? retryAfterOf(failure.metadata) : durationMs(retry.retryDelay),
    requestId: request?.requestId ?? failure.metadata.get('x-request-id') ?? undefined,
    cause: failure,
  });
}

/** Every error of the gateway carries a reason; without one it comes from the SDK's own deadline or abort, or from a proxy. */
function reasonOfCode(code: Code): PortcullisErrorReason {
  switch (code) {
    case Code.Canceled:
    case Code.DeadlineExceeded:
      return 'canceled';
    case Code.Unavailable:
      return 'connection_failed';
    default:
      return 'unknown';
  }
}

function textOf({ rawMessage, code }: ConnectError): string {
  return rawMessage === '' ? `The call failed with the code ${Code[code]}.` : rawMessage;
}

/**
 * True when the transport itself threw because the answer is missing or incomplete. connect-web has no code for that: what fetch throws
 * is Unknown with a cause, and a stream that ends within a message is InvalidArgument without one.
 */
function isCutOff({ code, cause, isWireError }: ConnectError): boolean {
  if (isWireError) {
    return false;
  }
  return (code === Code.Unknown && cause !== undefined) || (code === Code.InvalidArgument && cause === undefined);
}

function connectionFailure(failure: ConnectError): PortcullisError {
  const detail = [failure.rawMessage, ...causesOf(failure.cause)].join(': ');
  const message = `No whole answer came from the gateway (${detail}).`;
  return new PortcullisError('connection_failed', message, { code: Code.Unavailable, cause: failure });
}

/** What lies behind `fetch failed`, such as `connect ECONNREFUSED 127.0.0.1:8000`. */
function causesOf(error: unknown): string[] {
  const cause = error instanceof Error ? error.cause : undefined;
  return cause instanceof Error && cause.message !== '' ? [cause.message, ...causesOf(cause)] : [];
}
