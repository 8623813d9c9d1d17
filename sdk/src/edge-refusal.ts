import { Code } from '@connectrpc/connect';
import { retryAfterOf, toReason } from './error-conversion.ts';
import { PortcullisError } from './errors.ts';

/** The codes of the HTTP statuses that the gateway's edge refuses requests with. */
const CODES: Readonly<Record<number, Code>> = {
  400: Code.InvalidArgument,
  401: Code.Unauthenticated,
  402: Code.ResourceExhausted,
  403: Code.PermissionDenied,
  404: Code.NotFound,
  405: Code.Unimplemented,
  408: Code.DeadlineExceeded,
  413: Code.ResourceExhausted,
  429: Code.ResourceExhausted,
  500: Code.Internal,
  502: Code.Unavailable,
  503: Code.Unavailable,
  504: Code.DeadlineExceeded,
};

/** The codes that the Connect protocol sends with a status from 400 to 499. */
const CLIENT_CODES: ReadonlySet<unknown> = new Set([
  'canceled',
  'invalid_argument',
  'not_found',
  'already_exists',
  'permission_denied',
  'resource_exhausted',
  'failed_precondition',
  'aborted',
  'out_of_range',
  'unauthenticated',
]);

interface EdgeRefusal {
  readonly error: { readonly code: string; readonly message: string; readonly request_id?: unknown };
}

/**
 * Makes fetch throw what the Connect protocol can't read: the refusals of the gateway's HTTP edge,
 * `{"error":{"code","message","request_id"}}`, which come before the API is reached, and those of others on the way, such as a proxy's
 * page with the status 429, which Connect would take for a gateway that is away. Every other response passes unchanged.
 */
export function throwEdgeRefusals(fetch: typeof globalThis.fetch): typeof globalThis.fetch {
  return async (input, init) => {
    const response = await fetch(input, init);
    if (response.ok) {
      return response;
    }
    const isJson = response.headers.get('content-type')?.startsWith('application/json') === true;
    const body: unknown = isJson
      ? await response
          .clone()
          .json()
          .catch(() => undefined)
      : undefined;
    if (isEdgeRefusal(body)) {
      throw toError(body, response);
    }
    if (response.status >= 400 && response.status < 500 && !isConnectRefusal(body)) {
      throw foreignRefusal(response);
    }
    return response;
  };
}

function isConnectRefusal(body: unknown): boolean {
  return typeof body === 'object' && body !== null && 'code' in body && CLIENT_CODES.has(body.code);
}

function foreignRefusal({ status, headers, body }: Response): PortcullisError {
  // Whoever reads no body holds the connection.
  void body?.cancel().catch(() => {});
  const message = `Something on the way to the gateway refused the request with HTTP ${status}.`;
  return new PortcullisError(status === 429 ? 'rate_limit_exceeded' : 'unknown', message, {
    code: CODES[status] ?? Code.FailedPrecondition,
    retryAfterMs: retryAfterOf(headers),
    requestId: headers.get('x-request-id') ?? undefined,
  });
}

function isEdgeRefusal(body: unknown): body is EdgeRefusal {
  if (typeof body !== 'object' || body === null || !('error' in body)) {
    return false;
  }
  const { error } = body;
  return (
    typeof error === 'object' &&
    error !== null &&
    'code' in error &&
    typeof error.code === 'string' &&
    'message' in error &&
    typeof error.message === 'string'
  );
}

function toError({ error }: EdgeRefusal, { status, headers }: Response): PortcullisError {
  return new PortcullisError(toReason(error.code), error.message, {
    code: CODES[status] ?? Code.Unknown,
    retryAfterMs: retryAfterOf(headers),
    requestId: typeof error.request_id === 'string' ? error.request_id : undefined,
  });
}
