import { GatewayError } from '../../domain/errors.ts';
import { isObject, type JsonObject } from '../../upstream/message.ts';
import type { RpcError } from '../errors.ts';
import { findLacking } from './client-capabilities.ts';

/** Begins the keys of pages among `inputRequests`. */
const PREFIX = 'portcullis_page_';

/**
 * What a modern client gets in place of a legacy upstream's demand to open pages first: a result that asks for it, after which the client
 * makes the call anew; or, when it cannot open pages, an error (specification 2026-07-28, schema, MissingRequiredClientCapabilityError).
 */
export function pagesRequired(
  pages: readonly JsonObject[],
  capabilities: JsonObject,
): { readonly result: JsonObject } | { readonly error: RpcError } {
  const requiredCapabilities = findLacking(capabilities, 'elicitation/create', { mode: 'url' });
  if (requiredCapabilities !== undefined) {
    const message = 'The upstream wants its user to open a page first, which the client cannot ask for.';
    return { error: { code: -32021, message, data: { requiredCapabilities } } };
  }
  const requests = pages.map((params, index) => [`${PREFIX}${index + 1}`, { method: 'elicitation/create', params }]);
  return { result: { resultType: 'input_required', inputRequests: Object.fromEntries(requests) } };
}

/** Throws `failed_precondition` when the client comes again because its user will not open a page: the upstream would only ask once more. */
export function requirePagesOpened(inputResponses: unknown): void {
  for (const [key, response] of Object.entries(isObject(inputResponses) ? inputResponses : {})) {
    if (key.startsWith(PREFIX) && isObject(response) && response['action'] !== 'accept') {
      throw new GatewayError('failed_precondition', 'The upstream wants its user to open a page first, who did not.');
    }
  }
}
