import type { Kysely } from 'kysely';
import type { PrincipalId } from '../domain/ids.ts';
import type { Database } from './database.ts';

type Db = Kysely<Database>;

/** A refresh token as stored: its hash, never its text. Times are Unix milliseconds. */
export interface RefreshTokenRecord {
  /** SHA-256 of the token, hex. */
  readonly tokenHash: string;
  readonly userId: PrincipalId;
  /** All tokens descended from one login. */
  readonly familyId: string;
  readonly createTime: number;
  readonly expireTime: number;
}

/** What presenting a refresh token led to; `reused` means that someone else has it too, so its family must end. */
export type RefreshTokenUse =
  | { readonly status: 'ok' | 'reused'; readonly userId: PrincipalId; readonly familyId: string }
  | { readonly status: 'unknown' | 'expired' };

/** Stores a new token. */
export async function insertRefreshToken(db: Db, token: RefreshTokenRecord): Promise<void> {
  await db
    .insertInto('refresh_tokens')
    .values({
      token_hash: token.tokenHash,
      user_id: token.userId,
      family_id: token.familyId,
      create_time: token.createTime,
      expire_time: token.expireTime,
      use_time: null,
    })
    .execute();
}

/**
 * Marks the token as used; of two uses at once one gets `ok`. Run it in one transaction with the insert of the successor:
 * then a reuse waits, and ending the family ends that successor too.
 */
export async function useRefreshToken(db: Db, tokenHash: string, now: number): Promise<RefreshTokenUse> {
  const used = await db
    .updateTable('refresh_tokens')
    .set({ use_time: now })
    .where('token_hash', '=', tokenHash)
    .where('use_time', 'is', null)
    .where('expire_time', '>', now)
    .returning(['user_id', 'family_id'])
    .executeTakeFirst();
  if (used !== undefined) return belongsTo('ok', used);
  const row = await db.selectFrom('refresh_tokens').selectAll().where('token_hash', '=', tokenHash).executeTakeFirst();
  if (row === undefined) return { status: 'unknown' };
  return row.use_time === null ? { status: 'expired' } : belongsTo('reused', row);
}

/** Ends every token descended from one login. */
export async function endRefreshFamily(db: Db, familyId: string): Promise<void> {
  await db.deleteFrom('refresh_tokens').where('family_id', '=', familyId).execute();
}

/** Ends every token of a user. */
export async function endUserRefreshTokens(db: Db, userId: PrincipalId): Promise<void> {
  await db.deleteFrom('refresh_tokens').where('user_id', '=', userId).execute();
}

/** Removes tokens past their time; used ones are kept until then, so that a reuse is recognised. */
export async function deleteExpired(db: Db, now: number): Promise<void> {
  await db.deleteFrom('refresh_tokens').where('expire_time', '<=', now).execute();
}

function belongsTo(status: 'ok' | 'reused', row: { user_id: string; family_id: string }): RefreshTokenUse {
  return { status, userId: row.user_id as PrincipalId, familyId: row.family_id };
}
