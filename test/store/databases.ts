import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { type DatabaseLocation, openDatabase, type Store } from '../../src/db/store.ts';
import { createTestDatabaseUrl } from '../support/postgres.ts';

/** Every kind of database the gateway runs on, each as a fresh, empty one; for `describe.each`. */
export const databases: readonly { readonly name: string; readonly locate: () => Promise<DatabaseLocation> }[] = [
  { name: 'SQLite file', locate: async () => ({ kind: 'sqlite', dataDir: await temporaryFolder() }) },
  { name: 'SQLite memory', locate: async () => ({ kind: 'memory' }) },
  { name: 'PostgreSQL', locate: async () => ({ kind: 'postgres', url: await createTestDatabaseUrl() }) },
];

/** How `vi.waitFor` waits for what comes in a moment, even when the machine is busy; times in milliseconds. */
export const SOON = { timeout: 10_000, interval: 5 };

/** Opens a database until the end of the test; background errors fail the test unless they are handled here. */
export async function openUntilTestEnds(
  location: DatabaseLocation,
  onBackgroundError: (error: unknown) => void = failLater,
): Promise<Store> {
  const store = await openDatabase(location, { onBackgroundError });
  onTestFinished(() => store.close());
  return store;
}

/** A folder that is removed at the end of the test. */
export async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'portcullis-store-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

function failLater(error: unknown): void {
  void Promise.reject(error);
}
