import type { DatabaseSync, SQLInputValue, StatementSync } from 'node:sqlite';
import {
  type Dialect,
  SqliteAdapter,
  type SqliteDatabase,
  SqliteDriver,
  SqliteIntrospector,
  SqliteQueryCompiler,
  type SqliteStatement,
} from 'kysely';

/** Prepared statements kept; the repositories have fewer texts than this, except for lists of varying length. */
const MAX_STATEMENTS = 200;

/** Kysely assumes that DDL can not be rolled back on SQLite, but it can, so a migration is applied wholly or not at all. */
class TransactionalSqliteAdapter extends SqliteAdapter {
  override get supportsTransactionalDdl(): boolean {
    return true;
  }
}

/** One `node:sqlite` connection as Kysely uses it. */
export interface SqliteConnection {
  readonly dialect: Dialect;
  /** Undefined when no transaction of Kysely is open, else a promise of its end (after which another may have begun). */
  transactionEnd(): Promise<void> | undefined;
}

/** Puts a `node:sqlite` connection behind the interface of Kysely's driver; transactions take the write lock at once. */
export function createSqliteConnection(database: DatabaseSync): SqliteConnection {
  const transactions = trackTransactions();
  const statements = new Map<string, SqliteStatement>();
  const prepare = (sql: string): SqliteStatement => {
    // A deferred transaction that reads and then writes fails at once when the log writer committed in between.
    const text = sql === 'begin' ? 'begin immediate' : sql;
    const known = statements.get(text);
    if (known !== undefined) return known;
    const made = transactions.watch(sql, toKyselyStatement(database.prepare(text)));
    if (statements.size >= MAX_STATEMENTS) statements.clear();
    statements.set(text, made);
    return made;
  };
  const kyselyDatabase: SqliteDatabase = { prepare, close: () => database.close() };
  return {
    dialect: {
      createAdapter: () => new TransactionalSqliteAdapter(),
      createDriver: () => new SqliteDriver({ database: kyselyDatabase }),
      createIntrospector: (db) => new SqliteIntrospector(db),
      createQueryCompiler: () => new SqliteQueryCompiler(),
    },
    transactionEnd: transactions.end,
  };
}

function toKyselyStatement(statement: StatementSync): SqliteStatement {
  // Kysely passes what the repositories bind: strings, numbers, bigints and null.
  const values = (parameters: readonly unknown[]) => parameters as SQLInputValue[];
  return {
    reader: statement.columns().length > 0,
    all: (parameters) => statement.all(...values(parameters)),
    run: (parameters) => statement.run(...values(parameters)),
    iterate: (parameters) => statement.iterate(...values(parameters)),
  };
}

function trackTransactions() {
  let open: { ended: Promise<void>; end: () => void } | undefined;
  const begun = () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    open = { ended: promise, end: resolve };
  };
  const over = () => {
    open?.end();
    open = undefined;
  };
  const after = (statement: SqliteStatement, done: () => void): SqliteStatement => ({
    ...statement,
    run(parameters) {
      const result = statement.run(parameters);
      done();
      return result;
    },
  });
  return {
    end: () => open?.ended,
    watch(sql: string, statement: SqliteStatement): SqliteStatement {
      if (sql === 'begin') return after(statement, begun);
      return sql === 'commit' || sql === 'rollback' ? after(statement, over) : statement;
    },
  };
}
