import type { Migration } from 'kysely/migration';
import { initial } from './0001-initial.ts';
import { policies } from './0002-policies.ts';
import { gateways } from './0003-gateways.ts';

/** Every migration by name; they run in the order of their names, and one that was released is never changed. */
export const migrations: Readonly<Record<string, Migration>> = {
  '0001-initial': initial,
  '0002-policies': policies,
  '0003-gateways': gateways,
};
