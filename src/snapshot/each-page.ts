import { setImmediate } from 'node:timers/promises';

/** Rows read by one statement: enough to be fast, few enough to leave the event loop alone in between. */
const PAGE = 2_000;

/** Which rows a statement is to read: those after the last of the page before. */
export interface Page {
  readonly afterId: string | undefined;
  readonly limit: number;
}

/** Reads rows in the order of their ids, page by page, and hands each to `put`. */
export async function eachPage<Row extends { readonly id: string }>(
  read: (page: Page) => Promise<Row[]>,
  put: (row: Row) => void,
): Promise<void> {
  let rows: Row[];
  let afterId: string | undefined;
  do {
    rows = await read({ afterId, limit: PAGE });
    for (const row of rows) put(row);
    afterId = rows.at(-1)?.id;
    // SQLite answers without ever leaving this turn of the event loop.
    if (rows.length === PAGE) await setImmediate();
  } while (rows.length === PAGE);
}
