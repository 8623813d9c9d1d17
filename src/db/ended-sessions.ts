import type { Kysely } from 'kysely';
import type { Database } from './database.ts';

type Db = Kysely<Database>;

/** A legacy MCP session that its client deleted before its token expires. */
export interface EndedSession {
  readonly sessionId: string;
  /** Unix milliseconds at which the session's token expires by itself, so that the row is no longer needed. */
  readonly expireTime: number;
}

/** Ends a session and drops those that have expired since; ending one again does nothing. */
export async function endSession(db: Db, session: EndedSession, now: number = Date.now()): Promise<void> {
  await db.deleteFrom('ended_sessions').where('expire_time', '<=', now).execute();
  await db
    .insertInto('ended_sessions')
    .values({ session_id: session.sessionId, expire_time: session.expireTime })
    .onConflict((conflict) => conflict.doNothing())
    .execute();
}

/** Those of the sessions that were ended. */
export async function findEndedSessions(db: Db, sessionIds: readonly string[]): Promise<EndedSession[]> {
  if (sessionIds.length === 0) return [];
  const rows = await db.selectFrom('ended_sessions').selectAll().where('session_id', 'in', sessionIds).execute();
  return rows.map((row) => ({ sessionId: row.session_id, expireTime: row.expire_time }));
}

/** A page of all ended sessions, ordered by id. */
export async function listEndedSessions(
  db: Db,
  page: { readonly afterId?: string | undefined; readonly limit: number },
): Promise<EndedSession[]> {
  let query = db.selectFrom('ended_sessions').selectAll().orderBy('session_id').limit(page.limit);
  if (page.afterId !== undefined) query = query.where('session_id', '>', page.afterId);
  return (await query.execute()).map((row) => ({ sessionId: row.session_id, expireTime: row.expire_time }));
}
