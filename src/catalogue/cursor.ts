import { hash } from 'node:crypto';
import type { OfferList } from './list-kinds.ts';

/** A list that comes in pages, by the key of its items in a result. */
export type ListKind = OfferList;

/** What a cursor is good for. */
export interface CursorScope {
  /** Id of the gateway or upstream. */
  readonly targetId: string;
  readonly kind: ListKind;
}

/** Where a page begins. */
export interface ListPosition {
  /** Name or URI of the last item before it, as exposed. */
  readonly after: string;
  /** How many items were before it, in case that one is gone. */
  readonly index: number;
}

const DIGEST_BYTES = 6;

/** The cursor that leads to a position. It is opaque, not secret: a made-up one names another place in what its bearer may read anyway. */
export function createCursor(scope: CursorScope, { after, index }: ListPosition): string {
  const place = Buffer.from(JSON.stringify([after, index]));
  return Buffer.concat([digestOf(scope, place), place]).toString('base64url');
}

/** The position of a cursor; 'first' for the empty one, undefined for one that is malformed or of another list. */
export function readCursor(scope: CursorScope, cursor: string): ListPosition | 'first' | undefined {
  if (cursor === '') {
    return 'first';
  }
  const bytes = Buffer.from(cursor, 'base64url');
  const place = bytes.subarray(DIGEST_BYTES);
  if (bytes.toString('base64url') !== cursor || !bytes.subarray(0, DIGEST_BYTES).equals(digestOf(scope, place))) {
    return undefined;
  }
  return parsePlace(place.toString());
}

function digestOf({ targetId, kind }: CursorScope, place: Buffer): Buffer {
  const text = JSON.stringify([targetId, kind, place.toString('base64')]);
  return hash('sha256', text, 'buffer').subarray(0, DIGEST_BYTES);
}

/** Checked all the same: the digest is no signature. */
function parsePlace(text: string): ListPosition | undefined {
  try {
    const place: unknown = JSON.parse(text);
    const [after, index] = Array.isArray(place) ? place : [];
    return typeof after === 'string' && Number.isSafeInteger(index) && index >= 0 ? { after, index } : undefined;
  } catch {
    return undefined;
  }
}
