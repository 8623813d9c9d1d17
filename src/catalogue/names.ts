import { hash } from 'node:crypto';

/** Longest name that a gateway gives, in characters: several model APIs refuse more. */
export const MAX_NAME_LENGTH = 64;

/** How one upstream's names are changed for clients. */
export interface Naming {
  /** Address of the upstream. */
  readonly address: string;
  /** What stands before its names, `_` included; '' = nothing. */
  readonly prefix: string;
  /** No other upstream is behind the slug, so its names stay unless a prefix or a rename is configured. */
  readonly isOnly: boolean;
}

const DIGEST_LENGTH = 8;
const goodName = /^[A-Za-z0-9_.-]{1,64}$/;
const badCharacter = /[^A-Za-z0-9_.-]/gu;

/**
 * The name under which clients find a tool or prompt. One that gets too long, or held characters that a changed name may not have, is
 * cut and ends with a digest of where it comes from, so that it is the same on every replica and whatever else is offered.
 */
export function exposedName({ address, prefix, isOnly }: Naming, name: string, rename = name): string {
  const wanted = prefix + rename;
  if (goodName.test(wanted) || (wanted === name && (isOnly || name.length <= MAX_NAME_LENGTH))) {
    return wanted;
  }
  const digest = hash('sha256', `${address}\0${name}`).slice(0, DIGEST_LENGTH);
  return `${wanted.replace(badCharacter, '_').slice(0, MAX_NAME_LENGTH - DIGEST_LENGTH - 1)}_${digest}`;
}
