import type { DatabaseSync } from 'node:sqlite';
import type { StateSource } from './state-view.ts';

/** Reads committed state on a connection whose tables exist and that has no transaction open while it is asked. */
export function createSqliteStateSource(database: DatabaseSync): StateSource {
  const state = database.prepare('select value, time, updates, expire_time from policy_states where key = ?');
  const time = database.prepare('select time from policy_state_times where key = ? and update_number = ?');
  // The casts: the tables are strict, and all columns are `not null`.
  return {
    find: (key) => state.get(key) as ReturnType<StateSource['find']>,
    findTime: (key, updateNumber) => (time.get(key, updateNumber) as { time: number } | undefined)?.time,
  };
}
