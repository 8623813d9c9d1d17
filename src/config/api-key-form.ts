import { crc32 } from 'node:zlib';
import { encodeBase62, encodeUint32 } from './base62.ts';

/** `pc_`, 43 base62 digits that hold 256 random bits, and 6 base62 digits of CRC-32 over those 43, so scanners can recognise a leaked key. */
const FORM = /^pc_[0-9A-Za-z]{49}$/;
const BODY_START = 3;
const BODY_END = 46;

/** The key text that holds 32 random bytes. */
export function formApiKey(bytes: Uint8Array): string {
  const body = encodeBase62(bytes, BODY_END - BODY_START);
  return `pc_${body}${checksumOf(body)}`;
}

/** True when the text has the form of a key and its checksum fits; it may still be unknown. */
export function isWellFormedApiKey(text: string): boolean {
  return FORM.test(text) && text.slice(BODY_END) === checksumOf(text.slice(BODY_START, BODY_END));
}

/** The random part of a well-formed key. */
export function bodyOfApiKey(text: string): string {
  return text.slice(BODY_START, BODY_END);
}

function checksumOf(body: string): string {
  return encodeUint32(crc32(body));
}
