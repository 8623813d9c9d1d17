import { createHash } from 'node:crypto';
import type { JsonObject } from '../domain/json.ts';
import { isObject } from '../upstream/message.ts';
import { jsonText } from './definition-json.ts';
import type { ListKind } from './list-kinds.ts';

/** Sends one request to the upstream; resolves with its result. */
export type Ask = (method: string, params: JsonObject) => Promise<JsonObject>;

/** A list of an upstream as it was read. */
export interface ListRead {
  readonly items: readonly JsonObject[];
  /** Equal for equal lists, whatever their pages. */
  readonly hash: string;
  /** Length of the items as JSON. */
  readonly size: number;
  /** How long the upstream says that it stays true, in milliseconds; undefined = it does not say. */
  readonly ttlMs: number | undefined;
  /** Why it is not whole. */
  readonly flaw: 'too_large' | 'invalid' | undefined;
}

const MAX_PAGES = 100;
const MAX_ITEMS = 10_000;
/** In UTF-16 code units of JSON. */
const MAX_SIZE = 16 * 1024 * 1024;

/** Reads all pages of a list, up to its bounds; rejects as `ask` does. */
export async function readList(ask: Ask, { method, field, id }: ListKind): Promise<ListRead> {
  const list = createCollector(id);
  let cursor: string | undefined;
  let ttlMs: number | undefined;
  for (let page = 0; page < MAX_PAGES; page++) {
    const result = await ask(method, cursor === undefined ? {} : { cursor });
    const items = result[field];
    if (!Array.isArray(items)) {
      return list.end(ttlMs, 'invalid');
    }
    ttlMs = shorter(ttlMs, result['ttlMs']);
    if (!list.add(items)) {
      return list.end(ttlMs, 'too_large');
    }
    const next = result['nextCursor'];
    if (typeof next !== 'string' || next === cursor) {
      return list.end(ttlMs, undefined);
    }
    cursor = next;
  }
  return list.end(ttlMs, 'too_large');
}

/** The shorter of two times to live, of which what an upstream wrote may be anything. */
export function shorter(known: number | undefined, written: unknown): number | undefined {
  return typeof written === 'number' && Number.isFinite(written) ? Math.min(known ?? written, written) : known;
}

/** An upstream that has no such list. */
export const NO_ITEMS: ListRead = createCollector('name').end(undefined, undefined);

function createCollector(id: ListKind['id']) {
  const hash = createHash('sha256');
  const kept: JsonObject[] = [];
  let size = 0;
  let isShort = false;

  return {
    /** False when no more fits; leaves out what cannot be written. */
    add(items: readonly unknown[]): boolean {
      for (const item of items) {
        if (!isObject(item) || typeof item[id] !== 'string') {
          continue;
        }
        const text = jsonText(item);
        if (text === undefined) {
          isShort = true;
          continue;
        }
        if (kept.length >= MAX_ITEMS || size + text.length > MAX_SIZE) {
          return false;
        }
        hash.update(text).update('\n');
        size += text.length;
        kept.push(item);
      }
      return true;
    },
    end: (ttlMs: number | undefined, flaw: ListRead['flaw']): ListRead => ({
      items: kept,
      hash: hash.digest('base64url'),
      size,
      ttlMs,
      flaw: flaw ?? (isShort ? 'too_large' : undefined),
    }),
  };
}
