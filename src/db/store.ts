import type { Kysely } from 'kysely';
import type { BellListener, Unsubscribe } from './bell.ts';
import type { Database } from './database.ts';
import type { LogStore } from './log-store.ts';
import type { ReplicaMail } from './replica-mail.ts';
import { openSqliteStore } from './sqlite-store.ts';

/** Where the data is: a file in a folder, this process's memory, or a PostgreSQL server. */
export type DatabaseLocation =
  | { readonly kind: 'sqlite'; readonly dataDir: string }
  | { readonly kind: 'memory' }
  | { readonly kind: 'postgres'; readonly url: string };

export interface OpenDatabaseOptions {
  /** Hears failures that no caller waits for, such as a lost LISTEN connection; they are repaired without help. */
  readonly onBackgroundError?: (error: unknown) => void;
  /** PostgreSQL connections for everything but the decision log and LISTEN, which have their own; 10 by default. */
  readonly poolSize?: number;
}

/** An open, migrated database. */
export interface Store {
  /** The SQL dialect; `memory` is `sqlite`. */
  readonly kind: 'sqlite' | 'postgres';
  readonly db: Kysely<Database>;
  readonly log: LogStore;
  readonly mail: ReplicaMail;
  /** Hears of changes of hot configuration on any replica; may ring without need, and a ring can be missed: poll as well. */
  onConfigChange(listener: BellListener): Unsubscribe;
  /**
   * Hears of committed decisions on any replica, half a second after they are readable at the latest (while the database
   * answers); may ring without need.
   */
  onDecision(listener: BellListener): Unsubscribe;
  /** Tells this process's listeners that configuration changed; resolves when they have read it. */
  ringConfig(): Promise<void>;
  /** Resolves when the database answered a query; throws what the driver threw. */
  ping(): Promise<void>;
  /** Ends all connections; the store must not be used afterwards. */
  close(): Promise<void>;
}

/**
 * Opens the database and brings its tables up to date. Throws `failed_precondition` when another process has the data folder or
 * the database is of a newer release, `unavailable` when PostgreSQL can not be reached.
 */
export async function openDatabase(location: DatabaseLocation, options: OpenDatabaseOptions = {}): Promise<Store> {
  if (location.kind !== 'postgres') {
    return openSqliteStore(location, options);
  }
  // Loaded when needed: the embedded database does without the driver's memory.
  const { openPostgresStore } = await import('./postgres-store.ts');
  return openPostgresStore(location.url, options);
}
