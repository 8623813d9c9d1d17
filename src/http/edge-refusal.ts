import type { ErrorReason, GatewayError } from '../domain/errors.ts';
import { sendJson } from '../mcp/answer.ts';
import type { HttpRequest } from '../mcp/exchange.ts';
import type { EdgeRequest } from './edge-request.ts';

const statuses: Readonly<Record<ErrorReason, number>> = {
  invalid_api_key: 401,
  api_key_expired: 401,
  api_key_revoked: 401,
  invalid_credentials: 401,
  token_expired: 401,
  permission_denied: 403,
  not_found: 404,
  already_exists: 409,
  etag_mismatch: 409,
  validation_failed: 400,
  page_token_invalid: 400,
  cursor_invalid: 400,
  failed_precondition: 400,
  method_not_allowed: 405,
  payload_too_large: 413,
  rate_limit_exceeded: 429,
  plan_limit_exceeded: 429,
  budget_exceeded: 402,
  policy_denied: 403,
  approval_required: 403,
  era_mismatch: 400,
  upstream_timeout: 504,
  bad_gateway: 502,
  unavailable: 503,
  canceled: 499,
  internal: 500,
};

/** Refuses a request before there is a call to answer: `{"error":{"code","message","request_id"}}` with the reason's HTTP status. */
export function sendRefusal({ request, response, requestId }: EdgeRequest, error: GatewayError): void {
  const body = JSON.stringify({ error: { code: error.reason, message: error.message, request_id: requestId } });
  sendJson(response, requestId, statuses[error.reason], body, extraHeaders(request, error));
}

function extraHeaders(request: HttpRequest, error: GatewayError): Record<string, string> {
  const headers: Record<string, string> = {};
  if (statuses[error.reason] === 401) {
    headers['www-authenticate'] = 'Bearer';
  }
  if (error.reason === 'method_not_allowed') {
    headers['allow'] = 'GET, POST, DELETE';
  }
  // The rest of a body that is read no further would be taken for the next request.
  if (error.reason === 'payload_too_large' || (!request.complete && request.readableFlowing !== null)) {
    headers['connection'] = 'close';
  }
  if (error.retryAfterMs !== undefined) {
    headers['retry-after'] = String(Math.ceil(error.retryAfterMs / 1000));
  }
  return headers;
}
