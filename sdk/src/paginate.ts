import type { CallOptions } from '@connectrpc/connect';

/** The item type of a page: a list response has one repeated field beside its `nextPageToken`. */
export type PageItem<Page> = {
  [Field in keyof Page]-?: Field extends `$${string}`
    ? never
    : Page[Field] extends readonly (infer Item)[]
      ? Item
      : never;
}[keyof Page];

/**
 * Goes through all items of a list, page by page; the next page is asked for when the last item of the one before has been handled.
 * `pageSize` in the request is the size of each page, `pageToken` where to begin. `list` is any list method of a client, such as
 * `client.upstreams.listUpstreams`; its errors are thrown where they occur.
 */
export async function* paginate<Request, Page extends { readonly nextPageToken: string }>(
  list: (request: Request, options?: CallOptions) => Promise<Page>,
  request: NoInfer<Request>,
  options?: CallOptions,
): AsyncGenerator<PageItem<Page>, void, undefined> {
  let page = await list(request, options);
  yield* itemsOf(page);
  while (page.nextPageToken !== '') {
    page = await list({ ...request, pageToken: page.nextPageToken }, options);
    yield* itemsOf(page);
  }
}

function itemsOf<Page extends object>(page: Page): PageItem<Page>[] {
  for (const [field, value] of Object.entries(page)) {
    // Names with a dollar sign are not fields; `$unknown` is an array too.
    if (!field.startsWith('$') && Array.isArray(value)) {
      return value;
    }
  }
  return [];
}
