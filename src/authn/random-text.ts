import { randomBytes } from 'node:crypto';
import { encodeBase62 } from '../config/base62.ts';

/** 256 random bits as 43 letters and digits. */
export function randomText256(): string {
  return encodeBase62(randomBytes(32), 43);
}

/** 131 random bits and more as 22 letters and digits, which a person can still type. */
export function randomPassword(): string {
  return encodeBase62(randomBytes(16), 22);
}
