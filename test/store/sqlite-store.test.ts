import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { sql } from 'kysely';
import { describe, expect, it } from 'vitest';
import { findProject, insertProject } from '../../src/db/projects.ts';
import { openDatabase } from '../../src/db/store.ts';
import { openUntilTestEnds, temporaryFolder } from './databases.ts';
import { decision, PROJECT, project } from './samples.ts';

describe('the embedded database', () => {
  it('keeps what was written when it is opened again', async () => {
    const dataDir = await temporaryFolder();
    const first = await openDatabase({ kind: 'sqlite', dataDir });
    await insertProject(first.db, project());
    await first.log.append({ decisions: [decision('d1')], outcomes: [] });
    await first.close();

    const second = await openUntilTestEnds({ kind: 'sqlite', dataDir });
    expect(await findProject(second.db, PROJECT)).toEqual(project());
    expect(await second.log.head()).toEqual({ tx: 0n, seq: 1n });
  });

  it('makes a data folder that nobody else may read', async () => {
    const dataDir = join(await temporaryFolder(), 'data');
    await openUntilTestEnds({ kind: 'sqlite', dataDir });
    const { stat } = await import('node:fs/promises');

    expect((await stat(dataDir)).mode & 0o777).toBe(0o700);
  });

  it('refuses a second process in its folder, and says what to do', async () => {
    const dataDir = await temporaryFolder();
    const first = await openDatabase({ kind: 'sqlite', dataDir });

    await expect(openDatabase({ kind: 'sqlite', dataDir })).rejects.toMatchObject({
      reason: 'failed_precondition',
      message: `Another Portcullis process uses the data folder ${dataDir}. Stop it, choose another folder with GATEWAY_DATA_DIR, or use PostgreSQL (GATEWAY_DATABASE_URL) for several processes.`,
    });
    await first.close();
    await openUntilTestEnds({ kind: 'sqlite', dataDir });
  });

  it('is on disk after every commit: write-ahead log and full synchronisation', async () => {
    const { db } = await openUntilTestEnds({ kind: 'sqlite', dataDir: await temporaryFolder() });
    const pragma = async (name: string) =>
      Object.values((await sql`pragma ${sql.raw(name)}`.execute(db)).rows[0] ?? {});

    expect(await pragma('journal_mode')).toEqual(['wal']);
    expect(await pragma('synchronous')).toEqual([2]);
    expect(await pragma('foreign_keys')).toEqual([1]);
  });

  it('refuses the data of a newer release', async () => {
    const dataDir = await temporaryFolder();
    await (await openDatabase({ kind: 'sqlite', dataDir })).close();
    const file = new DatabaseSync(join(dataDir, 'portcullis.db'));
    file.exec("insert into kysely_migration values ('9999-future', '2999-01-01T00:00:00.000Z')");
    file.close();

    const refused = { reason: 'failed_precondition', message: expect.stringContaining('newer release of Portcullis') };
    await expect(openDatabase({ kind: 'sqlite', dataDir })).rejects.toMatchObject(refused);
    // The folder is free again: the same answer, not "another process".
    await expect(openDatabase({ kind: 'sqlite', dataDir })).rejects.toMatchObject(refused);
  });

  it('does not begin on a file that is no database, and leaves it as it is', async () => {
    const dataDir = await temporaryFolder();
    await writeFile(join(dataDir, 'portcullis.db'), 'this is not a database, it only has its name');

    await expect(openDatabase({ kind: 'sqlite', dataDir })).rejects.toThrow('file is not a database');
    expect(await readFile(join(dataDir, 'portcullis.db'), 'utf8')).toBe('this is not a database, it only has its name');
  });

  it('counts decisions on even when the newest ones are gone', async () => {
    const { db, log } = await openUntilTestEnds({ kind: 'sqlite', dataDir: await temporaryFolder() });
    await log.append({ decisions: [decision('d1'), decision('d2')], outcomes: [] });
    await db.deleteFrom('decisions').execute();
    await log.append({ decisions: [decision('d3')], outcomes: [] });

    expect((await log.get(PROJECT, 'd3'))?.position).toEqual({ tx: 0n, seq: 3n });
  });
});
