import type { IncomingHttpHeaders } from 'node:http';
import { GatewayError } from '../domain/errors.ts';

const MAX_LENGTH = 4096;

/** What to send, for everyone whose credential is refused. */
const ADVICE = 'Send `Authorization: Bearer <API key or access token>` or `X-API-Key: <API key>`.';

/**
 * The one credential of a request: an API key or access token from `Authorization: Bearer` (RFC 6750 section 2.1), `X-API-Key` or
 * `X-Veto-API-Key`; never from the query. Throws `invalid_api_key` when there is none, or two that differ: it would be unclear who acts.
 */
export function readCredential(headers: IncomingHttpHeaders): string {
  const bearer = bearerOf(headers.authorization);
  const apiKey = textOf(headers['x-api-key']);
  const vetoApiKey = textOf(headers['x-veto-api-key']);
  const text = bearer ?? apiKey ?? vetoApiKey;
  if (text === undefined) {
    throw invalidCredential('No credential was sent.');
  }
  if ((apiKey !== undefined && apiKey !== text) || (vetoApiKey !== undefined && vetoApiKey !== text)) {
    throw invalidCredential('Two different credentials were sent; send one.');
  }
  if (text.length > MAX_LENGTH) {
    throw invalidCredential('The credential is too long.');
  }
  return text;
}

/** The refusal of a credential that is none of this installation's; the advice what to send is added. */
export function invalidCredential(message: string, cause?: unknown): GatewayError {
  return new GatewayError('invalid_api_key', `${message} ${ADVICE}`, { cause });
}

function bearerOf(header: string | undefined): string | undefined {
  if (header === undefined || header === '') {
    return undefined;
  }
  if (header.slice(0, 7).toLowerCase() !== 'bearer ') {
    throw invalidCredential('The Authorization header has another scheme than Bearer.');
  }
  return header.slice(7).trim();
}

function textOf(header: string | string[] | undefined): string | undefined {
  const text = Array.isArray(header) ? header.join(',') : header;
  return text === '' ? undefined : text;
}
