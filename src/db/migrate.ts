import { type Kysely, sql } from 'kysely';
import { Migrator } from 'kysely/migration';
import { GatewayError } from '../domain/errors.ts';
import { migrations } from './migrations/index.ts';

/**
 * Brings the tables up to this release, all pending migrations in one transaction; replicas that start together wait for each other.
 * Throws `failed_precondition` when the database belongs to a newer release, else what the driver threw.
 */
export async function migrate<Tables>(db: Kysely<Tables>): Promise<void> {
  const migrator = new Migrator({ db, provider: { getMigrations: async () => ({ ...migrations }) } });
  const { error } = await migrator.migrateToLatest();
  if (error === undefined) return;
  throw (await hasUnknownMigration(db)) ? newerRelease(error) : error;
}

async function hasUnknownMigration<Tables>(db: Kysely<Tables>): Promise<boolean> {
  try {
    const { rows } = await sql<{ name: string }>`select name from kysely_migration`.execute(db);
    return rows.some((row) => migrations[row.name] === undefined);
  } catch {
    return false;
  }
}

function newerRelease(cause: unknown): GatewayError {
  const message =
    'The database was written by a newer release of Portcullis. Start that release, or use another database (GATEWAY_DATABASE_URL, GATEWAY_DATA_DIR).';
  return new GatewayError('failed_precondition', message, { cause });
}
