import type { Page } from './paging.ts';

/** The page of tools in the order of their names; `last` is set when more follow. */
export function cutToolPage<Item extends { readonly name: string }>(
  tools: readonly Item[],
  page: Page,
): { tools: readonly Item[]; last: string | undefined } {
  const { after } = page;
  const rest = tools
    .filter(({ name }) => after === undefined || name > after)
    .sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
  const kept = rest.slice(0, page.size);
  return { tools: kept, last: rest.length > page.size ? kept.at(-1)?.name : undefined };
}
