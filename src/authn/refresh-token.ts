import { hash } from 'node:crypto';
import type { Kysely } from 'kysely';
import { lockConfig } from '../db/config-changes.ts';
import type { Database } from '../db/database.ts';
import { endRefreshFamily, insertRefreshToken, useRefreshToken } from '../db/refresh-tokens.ts';
import type { Store } from '../db/store.ts';
import { findUser, type UserRecord } from '../db/users.ts';
import { newId } from '../domain/ids.ts';
import { randomText256 } from './random-text.ts';

/** A refresh token nobody uses for this long ends, in milliseconds. */
const LIFETIME_MS = 30 * 24 * 60 * 60 * 1000;

/** A new refresh token and whom it stands for. */
export interface GrantedToken {
  readonly user: UserRecord;
  readonly refreshToken: string;
}

/** Begins a family of refresh tokens for a user whose password was right; undefined when the user changed since, so that it must be checked again. */
export async function beginRefreshFamily(
  store: Pick<Store, 'db'>,
  checked: UserRecord,
  now: number,
): Promise<GrantedToken | undefined> {
  return store.db.transaction().execute(async (trx) => {
    await lockConfig(trx);
    const user = await findUser(trx, checked.id);
    return user?.revision === checked.revision ? grant(trx, user, now, newId(now)) : undefined;
  });
}

/**
 * Trades a refresh token for its successor (RFC 9700 section 4.14.2): a second use of a token means that two parties have it, and ends
 * every token of that login. Undefined when the token is unknown, expired or used, or its user is disabled.
 */
export async function rotateRefreshToken(
  store: Pick<Store, 'db'>,
  text: string,
  now: number,
): Promise<GrantedToken | undefined> {
  // A refusal must commit as well: it ends the family.
  return store.db.transaction().execute(async (trx) => {
    // Whoever ends the tokens of a user holds this lock too, and would not see the successor that is written here.
    await lockConfig(trx);
    const use = await useRefreshToken(trx, hashToken(text), now);
    if (use.status === 'reused') {
      await endRefreshFamily(trx, use.familyId);
    }
    const user = use.status === 'ok' ? await findUser(trx, use.userId) : undefined;
    if (use.status !== 'ok' || user === undefined || user.disabled) {
      return undefined;
    }
    return grant(trx, user, now, use.familyId);
  });
}

/** Stores the hash of a new token only. */
async function grant(db: Kysely<Database>, user: UserRecord, now: number, familyId: string): Promise<GrantedToken> {
  const refreshToken = `pr_${randomText256()}`;
  const tokenHash = hashToken(refreshToken);
  await insertRefreshToken(db, {
    tokenHash,
    userId: user.id,
    familyId,
    createTime: now,
    expireTime: now + LIFETIME_MS,
  });
  return { user, refreshToken };
}

function hashToken(text: string): string {
  return hash('sha256', text, 'hex');
}
