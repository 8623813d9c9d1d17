import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { sql } from 'kysely';
import pg from 'pg';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { type DatabaseLocation, openDatabase, type Store } from '../../src/db/store.ts';
import { createTestDatabaseUrl } from '../support/postgres.ts';
import { add, decideCounted, peek } from './counting.ts';
import { databases, openUntilTestEnds, SOON, temporaryFolder } from './databases.ts';
import { PROJECT } from './samples.ts';

const lasting = databases.filter(({ name }) => name !== 'SQLite memory');

/** Lets a process count until it has told of at least so many commits, and kills it. Returns the highest number it told. */
async function countUntilKilled(location: DatabaseLocation, commits: number): Promise<number> {
  const script = fileURLToPath(new URL('./decide-until-killed.ts', import.meta.url));
  const child = spawn(process.execPath, [script, JSON.stringify(location)], { stdio: ['ignore', 'pipe', 'inherit'] });
  const exited = once(child, 'exit');
  onTestFinished(() => void child.kill('SIGKILL'));
  let highest = 0;
  let told = 0;
  for await (const line of createInterface({ input: child.stdout })) {
    highest = Math.max(highest, Number(line));
    if (++told === commits) child.kill('SIGKILL');
  }
  await exited;
  return highest;
}

async function countDecisions({ db }: Store): Promise<number> {
  const query = db.selectFrom('decisions').select((select) => select.fn.countAll<number>().as('count'));
  return (await query.executeTakeFirstOrThrow()).count;
}

describe.each(lasting)('state on $name', ({ locate }) => {
  it('is there after a restart, with its times', async () => {
    const location = await locate();
    const first = await openDatabase(location);
    for (const id of ['d1', 'd2']) expect(await decideCounted(first.log, { id, max: 2 })).toBe(true);
    await first.close();

    const { log } = await openUntilTestEnds(location);
    expect(await decideCounted(log, { id: 'd3', max: 2 })).toBe(false);
    expect(await decideCounted(log, { id: 'd4', max: 3 })).toBe(true);
    expect((await peek(log, 'd5', 'calls'))?.value).toBe(3);
  });

  it('is neither lost nor ahead of the log when the process is killed', async () => {
    const location = await locate();
    const told = await countUntilKilled(location, 300);
    const store = await openUntilTestEnds(location);

    const kept = (await peek(store.log, 'after', 'calls'))?.value ?? 0;
    expect(kept).toBeGreaterThanOrEqual(told);
    expect(await countDecisions(store)).toBe(kept + 1);
  });
});

describe('the embedded database', () => {
  it('refuses calls while the disk takes nothing, and decides on what is committed afterwards', async () => {
    const { db, log } = await openUntilTestEnds({ kind: 'sqlite', dataDir: await temporaryFolder() });
    await add(log, 'd1', ['n'], 5);
    await sql`create trigger full_disk before insert on policy_states begin select raise(abort, 'disk full'); end`.execute(
      db,
    );
    const refused = await Promise.allSettled(['d2', 'd3', 'd4'].map((id) => add(log, id, ['n'], -1)));
    await sql`drop trigger full_disk`.execute(db);

    const rejected = { status: 'rejected', reason: expect.objectContaining({ message: 'disk full' }) };
    expect(refused).toEqual([rejected, rejected, rejected]);
    expect(await add(log, 'd5', ['n'])).toEqual([5]);
    const rows = await log.list({ projectId: PROJECT, limit: 9 });
    expect(rows.map((row) => row.decision.id)).toEqual(['d5', 'd1']);
  });
});

describe('replicas on one PostgreSQL', () => {
  it('admit together exactly as many calls as a limit allows', async () => {
    const url = await createTestDatabaseUrl();
    const stores = await Promise.all([1, 2, 3].map(() => openUntilTestEnds({ kind: 'postgres', url })));
    const calls = stores.flatMap(({ log }, replica) =>
      Array.from({ length: 100 }, async (_, n) => {
        // Not all at once, so that the groups of the replicas interleave.
        await sleep(n % 20);
        return decideCounted(log, { id: `r${replica}-${n}`, max: 57 });
      }),
    );

    expect((await Promise.all(calls)).filter(Boolean)).toHaveLength(57);
  });

  it('never lose an update nor wait for each other for ever, whatever keys their calls share', async () => {
    const url = await createTestDatabaseUrl();
    const stores = await Promise.all([1, 2, 3].map(() => openUntilTestEnds({ kind: 'postgres', url })));
    const sets = [
      ['a', 'b', 'c', 'd'],
      ['d', 'c', 'b', 'a'],
      ['c', 'a'],
      ['b', 'd'],
    ];
    const calls = stores.flatMap(({ log }, replica) =>
      Array.from({ length: 120 }, async (_, n) => {
        await sleep(n % 30);
        await add(log, `r${replica}-${n}`, sets[n % 4] ?? []);
      }),
    );
    await Promise.all(calls);

    const [{ log }] = stores as [Store];
    const found = await Promise.all(['a', 'b', 'c', 'd'].map((key) => peek(log, `p-${key}`, key)));
    expect(found.map((state) => state?.value)).toEqual([270, 270, 270, 270]);
  });

  it('wait for one that decides with the same key, and go on when it is gone', async () => {
    const url = await createTestDatabaseUrl();
    const { log } = await openUntilTestEnds({ kind: 'postgres', url });
    const other = await holdKey(url, 'n');
    const waiting = add(log, 'd1', ['n']);
    await untilWaiting(other);
    await other.end();

    expect(await waiting).toEqual([undefined]);
  });

  it('refuse calls when the connection is lost before the commit, keep nothing of them, and decide again', async () => {
    const url = await createTestDatabaseUrl();
    const { log } = await openUntilTestEnds({ kind: 'postgres', url }, () => {});
    await add(log, 'd1', ['n']);
    const other = await holdKey(url, 'n');
    const lost = add(log, 'd2', ['n']);
    lost.catch(() => {});
    for (const pid of await untilWaiting(other)) await other.query('select pg_terminate_backend($1)', [pid]);
    await expect(lost).rejects.toThrow(Error);
    await other.query('rollback');

    expect(await add(log, 'd3', ['n'])).toEqual([1]);
    const rows = await log.list({ projectId: PROJECT, limit: 9 });
    expect(rows.map((row) => row.decision.id)).toEqual(['d3', 'd1']);
  });
});

/** A connection in a transaction that keeps others from deciding with a key. */
async function holdKey(url: string, key: string): Promise<pg.Client> {
  const client = new pg.Client(url);
  await client.connect();
  onTestFinished(() => client.end());
  await client.query('begin');
  await client.query('select pg_advisory_xact_lock(hashtextextended($1, 0))', [key]);
  return client;
}

/** Resolves when somebody waits for a key, with the ids of the waiting connections. */
function untilWaiting(client: pg.Client): Promise<number[]> {
  return vi.waitFor(async () => {
    const { rows } = await client.query<{ pid: number }>(
      `select pid from pg_locks where locktype = 'advisory' and not granted
       and database = (select oid from pg_database where datname = current_database())`,
    );
    expect(rows).not.toEqual([]);
    return rows.map(({ pid }) => pid);
  }, SOON);
}
