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
  413: Code.ResourceExhausted,
  429: Code.ResourceExhausted,
  500: Code.Internal,
  502: Code.Unavailable,
  503: Code.Unavailable,
  504: Code.DeadlineExceeded,
};

interface EdgeRefusal {
  readonly error: { readonly code: string; readonly message: string; readonly request_id?: unknown };
}

/**
 * Makes fetch throw the refusals of the gateway's HTTP edge, `{"error":{"code","message","request_id"}}`, which come before the API is
 * reached and which the Connect protocol can't read. Every other response passes unchanged.
 */
export function throwEdgeRefusals(fetch: typeof globalThis.fetch): typeof globalThis.fetch {
  return async (input, init) => {
    const response = await fetch(input, init);
    if (!response.ok && response.headers.get('content-type')?.startsWith('application/json') === true) {
      const body: unknown = await response
        .clone()
        .json()
        .catch(() => undefined);
      if (isEdgeRefusal(body)) {
        throw toError(body, response);
      }
    }
    return response;
  };
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
