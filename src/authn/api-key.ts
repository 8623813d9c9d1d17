import { hash, randomBytes } from 'node:crypto';
import { formApiKey } from '../config/api-key-form.ts';

/** Characters of a key that are kept and shown: `pc_` and 8 more. */
const PREFIX_LENGTH = 11;

/** A new key text; it is shown once and never stored. */
export function createApiKey(): string {
  return formApiKey(randomBytes(32));
}

/** SHA-256 of the whole key text in hex, as it is stored: a key holds 256 random bits, so a slow hash would add nothing. */
export function hashApiKey(text: string): string {
  return hash('sha256', text, 'hex');
}

/** The part of a key that may be shown and logged. */
export function keyPrefixOf(text: string): string {
  return text.slice(0, PREFIX_LENGTH);
}
