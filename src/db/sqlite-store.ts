import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { Kysely, sql } from 'kysely';
import { GatewayError } from '../domain/errors.ts';
import { createBell } from './bell.ts';
import type { Database } from './database.ts';
import { migrate } from './migrate.ts';
import { createNoMail } from './replica-mail.ts';
import { openSqliteConnection } from './sqlite-connection.ts';
import { createSqliteConnection, type SqliteConnection } from './sqlite-dialect.ts';
import { createDirectLog, createGroupedLog, createSqliteLogStore, type WriteLog } from './sqlite-log-store.ts';
import { SqliteLogThread } from './sqlite-log-thread.ts';
import { createSqliteLogWriter } from './sqlite-log-writer.ts';
import { createSqliteStateSource } from './sqlite-state-source.ts';
import { startPruning } from './state-pruning.ts';
import type { DatabaseLocation, OpenDatabaseOptions, Store } from './store.ts';

interface OpenedDatabase {
  readonly main: DatabaseSync;
  /** Begins to write the decision log; the tables must exist. */
  readonly startLog: (connection: SqliteConnection) => WriteLog;
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
  const stopPruning = startPruning({ kind: 'sqlite', db }, onError);
  return {
    kind: 'sqlite',
    db,
    log: createSqliteLogStore(db, opened.main, opened.startLog(connection), decisionBell),
    mail: createNoMail(),
    onConfigChange: configBell.subscribe,
    onDecision: decisionBell.subscribe,
    ringConfig: configBell.ring,
    async ping() {
      await sql`select version from config_state`.execute(db);
    },
    async close() {
      await stopPruning();
      await opened.close();
    },
  };
}

/** In memory there is one connection, and nothing to wait for when it commits. */
function openMemory(): OpenedDatabase {
  const main = openSqliteConnection(':memory:');
  return {
    main,
    startLog: ({ transactionEnd }) =>
      createDirectLog(createSqliteLogWriter(main).append, createSqliteStateSource(main), transactionEnd),
    close: async () => main.close(),
  };
}

/**
 * In a folder the log is written by a thread with a connection of its own. State is read on another one, which never has a transaction
 * open and so always sees what was committed last.
 */
function openFolder(dataDir: string): OpenedDatabase {
  mkdirSync(dataDir, { recursive: true, mode: 0o700 });
  const lock = lockFolder(dataDir);
  const path = join(dataDir, 'portcullis.db');
  const main = openSqliteConnection(path);
  let thread: SqliteLogThread | undefined;
  let states: DatabaseSync | undefined;
  return {
    main,
    startLog: () => {
      const started = new SqliteLogThread(path);
      thread = started;
      states = openSqliteConnection(path);
      return createGroupedLog((batch) => started.append(batch), createSqliteStateSource(states));
    },
    close: async () => {
      await thread?.close();
      states?.close();
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
