import type { JsonObject } from '../domain/json.ts';
import { type CursorScope, createCursor, type ListPosition } from './cursor.ts';

/** Room for the items of one page as JSON, in bytes of UTF-8; a larger item has a page of its own. */
export const MAX_PAGE_BYTES = 4 * 1024 * 1024;

/** An item of a list. */
export type ListItem = { readonly definition: JsonObject; readonly json?: string } & (
  | { readonly name: string }
  | { readonly uri: string }
);

/** One page of a list, ready to be put into a result. */
export interface ListPage {
  /** The array of definitions as JSON text. */
  readonly json: string;
  /** Absent = there are no more. */
  readonly nextCursor?: string;
}

/** How a list falls into pages when it is read from its beginning. */
interface Paging {
  readonly starts: readonly number[];
  /** Texts that were asked for, by start. */
  readonly texts: Map<number, string>;
}

const pagings = new WeakMap<readonly ListItem[], Paging>();

/** The page that begins at a position, or the first. The text of a page is made once for a list, which must not change. */
export function listPage(
  scope: CursorScope,
  items: readonly ListItem[],
  position: ListPosition | 'first' = 'first',
): ListPage {
  const paging = pagings.get(items) ?? { starts: startsOf(items), texts: new Map<number, string>() };
  pagings.set(items, paging);
  const start = position === 'first' ? 0 : startAt(items, position);
  const isRegular = paging.starts.includes(start);
  const end = isRegular ? (paging.starts[paging.starts.indexOf(start) + 1] ?? items.length) : endOf(items, start);
  const json = paging.texts.get(start) ?? textOf(items.slice(start, end));
  // Only pages that any client gets are kept: cursors can be made up.
  if (isRegular) {
    paging.texts.set(start, json);
  }
  const last = items[end - 1];
  const isLast = last === undefined || end >= items.length;
  return isLast ? { json } : { json, nextCursor: createCursor(scope, { after: keyOf(last), index: end }) };
}

function startsOf(items: readonly ListItem[]): readonly number[] {
  const starts: number[] = [];
  for (let start = 0; start < items.length; start = endOf(items, start)) {
    starts.push(start);
  }
  return starts;
}

/** The end of a page that begins at `start`: after the last item that fits, and after one at least. */
function endOf(items: readonly ListItem[], start: number): number {
  let bytes = 2;
  for (let at = start; at < items.length; at++) {
    const item = items[at];
    bytes += item === undefined ? 0 : Buffer.byteLength(jsonOf(item)) + 1;
    if (bytes > MAX_PAGE_BYTES && at > start) {
      return at;
    }
  }
  return items.length;
}

/** Where a list goes on, also after it changed. */
function startAt(items: readonly ListItem[], { after, index }: ListPosition): number {
  const before = items[index - 1];
  if (before !== undefined && keyOf(before) === after) {
    return index;
  }
  const found = items.findIndex((item) => keyOf(item) === after);
  return found === -1 ? Math.min(index, items.length) : found + 1;
}

function textOf(items: readonly ListItem[]): string {
  return `[${items.map(jsonOf).join(',')}]`;
}

function jsonOf({ json, definition }: ListItem): string {
  return json ?? JSON.stringify(definition);
}

function keyOf(item: ListItem): string {
  return 'name' in item ? item.name : item.uri;
}
