import { hash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { GatewayError } from '../domain/errors.ts';
import { writeHead } from '../mcp/answer.ts';
import type { EdgeRequest } from './edge-request.ts';

/** Where approvals have their pages: this and the id. */
export const APPROVAL_PAGE_PREFIX = '/approvals/';

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/**
 * Makes the page on which a human answers an approval: GET `/approvals/{id}`. It is the same for every id and holds no data; its script
 * asks the API with the credential that the reader gives it. The returned function throws `not_found` and `method_not_allowed`.
 */
export function createApprovalPage(): (edge: EdgeRequest) => void {
  const html = readFileSync(new URL('approval-page.html', import.meta.url), 'utf8');
  const headers = { ...pageHeaders(html), 'content-length': Buffer.byteLength(html) };
  return ({ request, response, requestId, path }) => {
    if (!UUID.test(path.slice(APPROVAL_PAGE_PREFIX.length))) {
      throw new GatewayError('not_found', 'There is no such page. An approval is at /approvals/{id}.');
    }
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      throw new GatewayError('method_not_allowed', 'This page is only read: use GET.');
    }
    writeHead(response, 200, { ...headers, 'x-request-id': requestId });
    response.end(request.method === 'GET' ? html : '');
  };
}

/** Lets the page do what it must and nothing else: its own script, its own style, and requests to this gateway. */
function pageHeaders(html: string): Record<string, string> {
  const policy = [
    "default-src 'none'",
    `script-src '${digestOf(html, 'script')}'`,
    `style-src '${digestOf(html, 'style')}'`,
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    // Against clickjacking: nobody's page may hold this one.
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
  ];
  return {
    'content-type': 'text/html; charset=utf-8',
    'content-security-policy': policy.join('; '),
    'x-frame-options': 'DENY',
    'x-content-type-options': 'nosniff',
    'referrer-policy': 'no-referrer',
    'cross-origin-opener-policy': 'same-origin',
    'cross-origin-resource-policy': 'same-origin',
    'cache-control': 'no-store',
  };
}

/** What the policy calls the page's one element of this name (CSP level 3, section Hash usage). */
function digestOf(html: string, element: 'script' | 'style'): string {
  const text = new RegExp(`<${element}>(.*?)</${element}>`, 's').exec(html)?.[1];
  if (text === undefined) {
    throw new Error(`The approval page has no <${element}>.`);
  }
  return `sha256-${hash('sha256', text, 'base64')}`;
}
