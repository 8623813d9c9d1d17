import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { Kysely, sql } from 'kysely';
import { GatewayError } from '../domain/errors.ts';
import { type Bell, createBell } from './bell.ts';
import type { Database } from './database.ts';
import { createLogReader } from './log-reader.ts';
import type { LogStore } from './log-store.ts';
import { migrate } from './migrate.ts';
import { createSqliteConnection, type SqliteConnection } from './sqlite-dialect.ts';
import { createSqliteLogWriter } from './sqlite-log-writer.ts';
import type { DatabaseLocation, OpenDatabaseOptions, Store } from './store.ts';

/** How long a statement waits for the write lock of another connection, in milliseconds. */
const BUSY_TIMEOUT_MS = 5_000;

/** The connections of one database; in memory there is one, which serves as both. */
interface Connections {
  readonly main: DatabaseSync;
  readonly log: DatabaseSync;
  close(): void;
}

/** Opens the embedded database: a file in a folder that this process then has alone, or memory. */
export async function openSqliteStore(
  location: Exclude<DatabaseLocation, { kind: 'postgres' }>,
  options: OpenDatabaseOptions,
): Promise<Store> {
  const connections = location.kind === 'memory' ? openMemory() : openFolder(location.dataDir);
  const connection = createSqliteConnection(connections.main);
  const db = new Kysely<Database>({ dialect: connection.dialect });
  try {
    await migrate(db);
    return assembleStore(db, connection, connections, options);
  } catch (error) {
    connections.close();
    throw error;
  }
}

function assembleStore(
  db: Kysely<Database>,
  connection: SqliteConnection,
  connections: Connections,
  options: OpenDatabaseOptions,
): Store {
  const onError = options.onBackgroundError ?? (() => {});
  const configBell = createBell(onError);
  const decisionBell = createBell(onError);
  return {
    kind: 'sqlite',
    db,
    log: createSqliteLogStore(db, connection, connections.log, decisionBell),
    onConfigChange: configBell.subscribe,
    onDecision: decisionBell.subscribe,
    ringConfig: configBell.ring,
    async ping() {
      await sql`select version from config_state`.execute(db);
    },
    async close() {
      connections.close();
    },
  };
}

function createSqliteLogStore(
  db: Kysely<Database>,
  connection: SqliteConnection,
  database: DatabaseSync,
  bell: Bell,
): LogStore {
  const writer = createSqliteLogWriter(database);
  const newest = database.prepare("select cast(seq as text) as seq from sqlite_sequence where name = 'decisions'");
  return {
    ...createLogReader(db, 'sqlite'),
    async append(batch) {
      // In this thread, waiting for a lock inside SQLite would also stop the transaction that has to give it back.
      for (let end = connection.transactionEnd(); end !== undefined; end = connection.transactionEnd()) await end;
      writer.append(batch);
      if (batch.decisions.length > 0) void bell.ring();
    },
    async head() {
      const row = newest.get();
      return { tx: 0n, seq: BigInt(typeof row?.seq === 'string' ? row.seq : 0) };
    },
  };
}

function openMemory(): Connections {
  const database = openConnection(':memory:');
  return { main: database, log: database, close: () => database.close() };
}

function openFolder(dataDir: string): Connections {
  mkdirSync(dataDir, { recursive: true, mode: 0o700 });
  const opened = [lockFolder(dataDir)];
  const open = () => {
    const database = openConnection(join(dataDir, 'portcullis.db'));
    opened.push(database);
    return database;
  };
  const close = () => {
    // The lock goes last: whoever gets it must find the database closed.
    for (const database of opened.splice(0).reverse()) database.close();
  };
  try {
    return { main: open(), log: open(), close };
  } catch (error) {
    close();
    throw error;
  }
}

function openConnection(path: string): DatabaseSync {
  const database = new DatabaseSync(path, { timeout: BUSY_TIMEOUT_MS });
  database.exec('pragma journal_mode = wal; pragma synchronous = full; pragma foreign_keys = on');
  return database;
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
