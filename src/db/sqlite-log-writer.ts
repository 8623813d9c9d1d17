import type { DatabaseSync } from 'node:sqlite';
import { type LogBatch, type StateChanges, storable } from './log-store.ts';

/** Writes batches of the decision log on a connection of its own; synchronous, so it can live in this thread or in a worker. */
export interface SqliteLogWriter {
  /** Returns when the batch is on disk; throws what SQLite threw, and then nothing of it is stored. */
  append(batch: LogBatch): void;
}

/** Prepares the statements of the log on an open connection whose tables exist. */
export function createSqliteLogWriter(database: DatabaseSync): SqliteLogWriter {
  const begin = database.prepare('begin immediate');
  const commit = database.prepare('commit');
  const decision = database.prepare(
    'insert into decisions (id, project_id, create_time, effect, principal_id, upstream_id, tool, body) values (?, ?, ?, ?, ?, ?, ?, ?)',
  );
  const outcome = database.prepare(
    'insert into decision_outcomes (decision_id, end_time, status, latency_micros, response_bytes) values (?, ?, ?, ?, ?) on conflict do nothing',
  );
  const putStates = prepareStates(database);
  const insert = (batch: LogBatch) => {
    for (const row of storable(batch.decisions)) {
      const { id, project_id, create_time, effect, principal_id, upstream_id, tool, body } = row;
      decision.run(id, project_id, create_time, effect, principal_id, upstream_id, tool, body);
    }
    for (const row of batch.outcomes) {
      outcome.run(row.decision_id, row.end_time, row.status, row.latency_micros, row.response_bytes);
    }
    if (batch.states !== undefined) putStates(batch.states);
  };
  return {
    append(batch) {
      begin.run();
      try {
        insert(batch);
        commit.run();
      } catch (error) {
        if (database.isTransaction) database.exec('rollback');
        throw error;
      }
    },
  };
}

function prepareStates(database: DatabaseSync): (changes: StateChanges) => void {
  const state = database.prepare(
    `insert into policy_states (key, project_id, value, time, updates, expire_time) values (?, ?, ?, ?, ?, ?)
     on conflict (key) do update set project_id = excluded.project_id, value = excluded.value, time = excluded.time,
       updates = excluded.updates, expire_time = excluded.expire_time`,
  );
  const time = database.prepare(
    `insert into policy_state_times (key, update_number, time, expire_time) values (?, ?, ?, ?)
     on conflict (key, update_number) do update set time = excluded.time, expire_time = excluded.expire_time`,
  );
  const dropExpired = database.prepare(
    'delete from policy_state_times where rowid in (select rowid from policy_state_times where expire_time <= ? limit ?)',
  );
  return ({ states, times }) => {
    for (const row of states) {
      state.run(row.key, row.project_id, row.value, row.time, row.updates, row.expire_time);
    }
    for (const row of times) {
      time.run(row.key, row.update_number, row.time, row.expire_time);
    }
    // What many calls wrote goes as they come, here where no other thread waits; the rest is pruned now and then.
    if (times.length > 0) dropExpired.run(Date.now(), 2 * times.length);
  };
}
