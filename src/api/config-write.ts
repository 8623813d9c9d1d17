import type { Transaction } from 'kysely';
import { type Changed, lockConfig, withChanges } from '../db/config-changes.ts';
import type { Database } from '../db/database.ts';
import type { Store } from '../db/store.ts';

/**
 * Runs a read-check-write of configuration that no other one overlaps, on any replica; resolves when this replica works with the result.
 */
export function writeConfig<Result>(
  store: Pick<Store, 'kind' | 'db' | 'ringConfig'>,
  write: (trx: Transaction<Database>, changed: Changed) => Promise<Result>,
): Promise<Result> {
  return withChanges(store, async (trx, changed) => {
    await lockConfig(trx);
    return write(trx, changed);
  });
}
