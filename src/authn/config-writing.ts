import type { Transaction } from 'kysely';
import type { Changed } from '../db/config-changes.ts';
import type { Database } from '../db/database.ts';

/**
 * A change of users or API keys that runs: a transaction that holds `lockConfig`, so that what is checked in it stays true until it
 * commits, a way to note what must be read again, and the time of the change (Unix milliseconds).
 */
export interface ConfigWriting {
  readonly trx: Transaction<Database>;
  readonly changed: Changed;
  readonly now: number;
}
