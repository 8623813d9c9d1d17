import type { DatabaseSync } from 'node:sqlite';
import { type LogBatch, storable } from './log-store.ts';

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
  const insert = (batch: LogBatch) => {
    for (const row of storable(batch.decisions)) {
      const { id, project_id, create_time, effect, principal_id, upstream_id, tool, body } = row;
      decision.run(id, project_id, create_time, effect, principal_id, upstream_id, tool, body);
    }
    for (const row of batch.outcomes) {
      outcome.run(row.decision_id, row.end_time, row.status, row.latency_micros, row.response_bytes);
    }
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
