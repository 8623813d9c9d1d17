import { DatabaseSync } from 'node:sqlite';

/** How long a statement waits for the write lock of another connection, in milliseconds. */
const BUSY_TIMEOUT_MS = 5_000;

/** Opens a connection on which every commit is on disk before it returns (WAL, full synchronisation). */
export function openSqliteConnection(path: string): DatabaseSync {
  const database = new DatabaseSync(path, { timeout: BUSY_TIMEOUT_MS });
  database.exec('pragma journal_mode = wal; pragma synchronous = full; pragma foreign_keys = on');
  return database;
}
