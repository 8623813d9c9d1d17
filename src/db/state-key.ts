import { createHash } from 'node:crypto';

/** Longer keys would not fit into PostgreSQL's index. */
const MAX_LENGTH = 600;

/**
 * The key under which state is stored. Keys hold what callers wrote, such as names of sessions: what a database can not store is
 * replaced by its digest, so that two keys never become one.
 */
export function toStorableKey(key: string): string {
  if (key.length <= MAX_LENGTH && key.isWellFormed() && !key.includes('\0')) return key;
  // UTF-16 is what tells lone surrogates apart.
  return `sha256:${createHash('sha256').update(key, 'utf16le').digest('hex')}`;
}
