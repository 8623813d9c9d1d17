import { hash, randomBytes } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { encodeBase62 } from './base62.ts';

/** `pc_`, 43 base62 digits that hold 256 random bits, and 6 base62 digits of CRC-32 over those 43, so scanners can recognise a leaked key. */
const FORM = /^pc_[0-9A-Za-z]{49}$/;
const BODY_START = 3;
const BODY_END = 46;

/** Characters of a key that are kept and shown: `pc_` and 8 more. */
const PREFIX_LENGTH = 11;

/** A new key text; it is shown once and never stored. */
export function createApiKey(): string {
  const body = encodeBase62(randomBytes(32), BODY_END - BODY_START);
  return `pc_${body}${checksumOf(body)}`;
}

/** True when the text has the form of a key and its checksum fits; it may still be unknown. */
export function isWellFormedApiKey(text: string): boolean {
  return FORM.test(text) && text.slice(BODY_END) === checksumOf(text.slice(BODY_START, BODY_END));
}

/** SHA-256 of the whole key text in hex, as it is stored: a key holds 256 random bits, so a slow hash would add nothing. */
export function hashApiKey(text: string): string {
  return hash('sha256', text, 'hex');
}

/** The part of a key that may be shown and logged. */
export function keyPrefixOf(text: string): string {
  return text.slice(0, PREFIX_LENGTH);
}

function checksumOf(body: string): string {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(crc32(body));
  return encodeBase62(bytes, 6);
}
