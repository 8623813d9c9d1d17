import { setImmediate } from 'node:timers/promises';
import { type RawBuilder, sql } from 'kysely';
import type { Store } from './store.ts';

/** Rows deleted by one statement: few enough that nothing waits long for it. */
const CHUNK = 500;

/** How often state that has expired is removed, in milliseconds. */
const PRUNE_EVERY_MS = 120_000;

/**
 * Removes state that has expired at `now` (Unix milliseconds), a little at a time, until all is gone or the signal ends it; returns how
 * many rows.
 */
export async function pruneStates(
  { db, kind }: Pick<Store, 'kind' | 'db'>,
  now: number,
  signal?: AbortSignal,
): Promise<number> {
  // A state outlives its times: without it the numbers of its updates would begin again at 1.
  const expiredTimes = sql`policy_state_times where expire_time <= ${now}`;
  const expiredStates = sql`policy_states where expire_time <= ${now}
    and not exists (select 1 from policy_state_times where policy_state_times.key = policy_states.key)`;
  // PostgreSQL: rows that a decision or another replica has are passed by, so that nobody waits for anybody.
  const [rowId, end] = kind === 'postgres' ? [sql`ctid`, sql`for update skip locked`] : [sql`rowid`, sql``];
  const prune = async (table: RawBuilder<unknown>, expired: RawBuilder<unknown>): Promise<number> => {
    const statement = sql`delete from ${table} where ${rowId} in (select ${rowId} from ${expired} limit ${CHUNK} ${end})`;
    for (let count = 0; ; ) {
      const deleted = Number((await statement.execute(db)).numAffectedRows ?? 0);
      count += deleted;
      if (deleted < CHUNK || signal?.aborted === true) return count;
      await setImmediate();
    }
  };
  const times = await prune(sql`policy_state_times`, expiredTimes);
  return times + (await prune(sql`policy_states`, expiredStates));
}

/** Prunes now and then, which it is enough that one replica does, until the returned function has resolved. */
export function startPruning(
  store: Pick<Store, 'kind' | 'db'>,
  onError: (error: unknown) => void,
): () => Promise<void> {
  const closing = new AbortController();
  let running: Promise<void> | undefined;
  const timer = setInterval(() => {
    running ??= pruneStates(store, Date.now(), closing.signal)
      .then(() => {}, onError)
      .finally(() => {
        running = undefined;
      });
  }, PRUNE_EVERY_MS).unref();
  return async () => {
    clearInterval(timer);
    closing.abort();
    await running;
  };
}
