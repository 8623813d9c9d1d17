import { cutPage, type Page, type PageRequest, type PageScope, type Paging } from './paging.ts';

/** A list that is read page by page. */
export interface PagedList<Item extends { readonly id: string }> {
  readonly scope: PageScope;
  readonly request: PageRequest;
  /** Reads items in the order of the list; `afterId` is the last item before them. */
  readonly read: (rows: { readonly afterId: string | undefined; readonly limit: number }) => Promise<readonly Item[]>;
  /** Which items the caller gets; absent = all. */
  readonly wanted?: (item: Item) => boolean;
}

/** Rows read for one page at most; with a filter that few match, a page ends early and the next one goes on. */
const SCAN_LIMIT = 2_000;
const SCAN_CHUNK = 250;

/** The page that a request asks for, and the token of the one after it. Throws `page_token_invalid`. */
export async function readPage<Item extends { readonly id: string }>(
  paging: Paging,
  list: PagedList<Item>,
): Promise<{ items: readonly Item[]; nextPageToken: string }> {
  const page = await paging.open(list.scope, list.request);
  const { items, last } =
    list.wanted === undefined
      ? cutPage(await list.read({ afterId: page.after, limit: page.size + 1 }), page)
      : await scan(list.read, list.wanted, page);
  return { items, nextPageToken: await paging.next(list.scope, last) };
}

async function scan<Item extends { readonly id: string }>(
  read: PagedList<Item>['read'],
  wanted: (item: Item) => boolean,
  page: Page,
): Promise<{ items: readonly Item[]; last: string | undefined }> {
  const found: Item[] = [];
  let afterId = page.after;
  for (let count = 0; count < SCAN_LIMIT && found.length <= page.size; count += SCAN_CHUNK) {
    const rows = await read({ afterId, limit: SCAN_CHUNK });
    found.push(...rows.filter(wanted));
    if (rows.length < SCAN_CHUNK) {
      return cutPage(found, page);
    }
    afterId = rows.at(-1)?.id;
  }
  return found.length > page.size ? cutPage(found, page) : { items: found, last: afterId };
}
