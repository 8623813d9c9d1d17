import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { Kysely, sql } from 'kysely';
import { GatewayError } from '../domain/errors.ts';
import { type Bell, createBell } from './bell.ts';
import type { Database } from './database.ts';
import { createLogReader } from './log-reader.ts';
import type { LogBatch, LogStore } from './log-store.ts';
import { migrate } from './migrate.ts';
import { openSqliteConnection } from './sqlite-connection.ts';
import { createSqliteConnection, type SqliteConnection } from './sqlite-dialect.ts';
import { SqliteLogThread } from './sqlite-log-thread.ts';
import { createSqliteLogWriter } from './sqlite-log-writer.ts';
import type { DatabaseLocation, OpenDatabaseOptions, Store } from './store.ts';

type AppendBatch = (batch: LogBatch) => Promise<void>;

interface OpenedDatabase {
  readonly main: DatabaseSync;
  /** Begins to take batches of the decision log; the tables must exist. */
  readonly startLog: (connection: SqliteConnection) => AppendBatch;
  close(): Promise<void>;
}

/** Opens the embedded database: a file in a folder that this process then has alone, or memory. */
export async function openSqliteStore(
  location: Exclude<DatabaseLocation, { kind: 'postgres' }>,
  options: OpenDatabaseOptions,
): Promise<Store> {
  const opened = location.kind === 'memory' ? openMemory() : openFolder(location.dataDir);
  const connection = createSqliteConnection(opened.main);
  const db = new Kysely<Database>({ dialect: connection.dialect });
  try {
    await migrate(db);
    return assembleStore(db, connection, opened, options);
  } catch (error) {
    await opened.close();
    throw error;
  }
}

function assembleStore(
  db: Kysely<Database>,
  connection: SqliteConnection,
  opened: OpenedDatabase,
  options: OpenDatabaseOptions,
): Store {
  const onError = options.onBackgroundError ?? (() => {});
  const configBell = createBell(onError);
  const decisionBell = createBell(onError);
  return {
    kind: 'sqlite',
    db,
    log: createSqliteLogStore(db, opened.main, opened.startLog(connection), decisionBell),
    onConfigChange: configBell.subscribe,
    onDecision: decisionBell.subscribe,
    ringConfig: configBell.ring,
    async ping() {
      await sql`select version from config_state`.execute(db);
    },
    close: opened.close,
  };
}

function createSqliteLogStore(db: Kysely<Database>, main: DatabaseSync, append: AppendBatch, bell: Bell): LogStore {
  const newest = main.prepare("select cast(seq as text) as seq from sqlite_sequence where name = 'decisions'");
  return {
    ...createLogReader(db, 'sqlite'),
    async append(batch) {
      await append(batch);
      if (batch.decisions.length > 0) void bell.ring();
    },
    async head() {
      const row = newest.get();
      return { tx: 0n, seq: BigInt(typeof row?.seq === 'string' ? row.seq : 0) };
    },
  };
}

/** In memory there is one connection, and nothing to wait for when it commits. */
function openMemory(): OpenedDatabase {
  const main = openSqliteConnection(':memory:');
  return {
    main,
    startLog: (connection) => {
      const writer = createSqliteLogWriter(main);
      return async (batch) => {
        // In this thread, waiting for a lock inside SQLite would also stop the transaction that has to give it back.
        for (let end = connection.transactionEnd(); end !== undefined; end = connection.transactionEnd()) await end;
        writer.append(batch);
      };
    },
    close: async () => main.close(),
  };
}

/** In a folder the log is written by a thread with a connection of its own. */
function openFolder(dataDir: string): OpenedDatabase {
  mkdirSync(dataDir, { recursive: true, mode: 0o700 });
  const lock = lockFolder(dataDir);
  const path = join(dataDir, 'portcullis.db');
  const main = openSqliteConnection(path);
  let thread: SqliteLogThread | undefined;
  return {
    main,
    startLog: () => {
      const started = new SqliteLogThread(path);
      thread = started;
      return (batch) => started.append(batch);
    },
    close: async () => {
      await thread?.close();
      main.close();
      // The lock goes last: whoever gets it must find the database closed.
      lock.close();
    },
  };
}

/** Holds SQLite's own lock on an empty file, which the operating system gives back however the process ends. */
function lockFolder(dataDir: string): DatabaseSync {
  const lock = new DatabaseSync(join(dataDir, 'portcullis.lock'), { timeout: 0 });
  try {
    lock.exec('begin exclusive');
    return lock;
  } catch (error) {
    lock.close();
    const message = `Another Portcullis process uses the data folder ${dataDir}. Stop it, choose another folder with GATEWAY_DATA_DIR, or use PostgreSQL (GATEWAY_DATABASE_URL) for several processes.`;
    throw new GatewayError('failed_precondition', message, { cause: error });
  }
}
