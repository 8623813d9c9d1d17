import { hash } from 'node:crypto';
import type { SecretBox } from '../config/secret-box.ts';
import { GatewayError } from '../domain/errors.ts';
import type { Principal } from '../domain/principal.ts';

/** What a page token is good for; a token of another list, caller or filter is refused. */
export interface PageScope {
  /** Name of the method. */
  readonly method: string;
  readonly caller: Principal;
  /** Everything in the request that chooses what is listed, page size and token left out. */
  readonly filter: readonly (string | number | boolean | undefined)[];
}

/** The paging fields of a list request. */
export interface PageRequest {
  readonly pageSize: number;
  readonly pageToken: string;
}

/** Where a page begins and how long it may be. */
export interface Page {
  /** The last item of the page before; absent on the first. */
  readonly after: string | undefined;
  readonly size: number;
}

/** Makes and reads page tokens: sealed, so that clients can neither read nor make them. */
export interface Paging {
  /** Throws `page_token_invalid` when the token is not one of this scope. */
  open(scope: PageScope, request: PageRequest): Promise<Page>;
  /** The token of the page after the item; empty when there is none. */
  next(scope: PageScope, after: string | undefined): Promise<string>;
}

const DEFAULT_PAGE_SIZE = 50;
const PURPOSE = 'page token';

/** Makes the paging of all lists. */
export function createPaging(box: SecretBox): Paging {
  return {
    async open(scope, { pageSize, pageToken }) {
      const after = pageToken === '' ? undefined : await openToken(box, scope, pageToken);
      return { after, size: pageSize === 0 ? DEFAULT_PAGE_SIZE : pageSize };
    },
    async next(scope, after) {
      return after === undefined ? '' : await box.seal(PURPOSE, `${digestOf(scope)} ${after}`);
    },
  };
}

/** Cuts what was read, one item more than the page holds, to the page; `last` is set when more follow. */
export function cutPage<Item extends { readonly id: string }>(
  items: readonly Item[],
  page: Page,
): { items: readonly Item[]; last: string | undefined } {
  const kept = items.slice(0, page.size);
  return { items: kept, last: items.length > page.size ? kept.at(-1)?.id : undefined };
}

async function openToken(box: SecretBox, scope: PageScope, token: string): Promise<string> {
  const opened = await box.open(PURPOSE, token).catch(refuse);
  const [digest, ...after] = opened.split(' ');
  return digest === digestOf(scope) ? after.join(' ') : refuse();
}

function refuse(cause?: unknown): never {
  const message =
    'The page_token is not one that this list gave to this credential for these filters. Begin again without one.';
  throw new GatewayError('page_token_invalid', message, cause === undefined ? {} : { cause });
}

function digestOf({ method, caller, filter }: PageScope): string {
  const parts = [method, caller.projectId, caller.id, caller.apiKeyId ?? null, ...filter.map((part) => part ?? null)];
  return hash('sha256', JSON.stringify(parts), 'base64url');
}
