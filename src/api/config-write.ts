import type { ConfigWriting } from '../authn/config-writing.ts';
import { lockConfig, withChanges } from '../db/config-changes.ts';
import type { Store } from '../db/store.ts';

/** The parts of a store that a change of configuration needs. */
export type ConfigStore = Pick<Store, 'kind' | 'db' | 'ringConfig'>;

/** Runs a read-check-write of configuration that no other one overlaps, on any replica; resolves when this replica works with the result. */
export function writeConfig<Result>(
  store: ConfigStore,
  write: (writing: ConfigWriting) => Promise<Result>,
): Promise<Result> {
  return withChanges(store, async (trx, changed) => {
    await lockConfig(trx);
    return write({ trx, changed, now: Date.now() });
  });
}
