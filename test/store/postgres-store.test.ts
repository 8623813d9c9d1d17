import { setTimeout as sleep } from 'node:timers/promises';
import { sql } from 'kysely';
import pg from 'pg';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { withChange } from '../../src/db/config-changes.ts';
import { findProject, insertProject } from '../../src/db/projects.ts';
import { openDatabase } from '../../src/db/store.ts';
import { insertUpstream } from '../../src/db/upstreams.ts';
import { createHotConfig } from '../../src/snapshot/hot-config.ts';
import { createTestDatabaseUrl } from '../support/postgres.ts';
import { openUntilTestEnds, SOON } from './databases.ts';
import { decision, outcome, PROJECT, project, UPSTREAM, upstream } from './samples.ts';

const START = { tx: 0n, seq: 0n };

async function connect(url: string): Promise<pg.Client> {
  const client = new pg.Client(url);
  await client.connect();
  onTestFinished(() => client.end());
  return client;
}

describe('replicas on one PostgreSQL', () => {
  it('may start at the same time on an empty database', async () => {
    const url = await createTestDatabaseUrl();
    const stores = await Promise.all(Array.from({ length: 4 }, () => openUntilTestEnds({ kind: 'postgres', url })));
    const [first, second] = stores;
    if (first === undefined || second === undefined) throw new Error('unreachable');
    await insertProject(first.db, project());

    expect(await findProject(second.db, PROJECT)).toEqual(project());
  });

  it('hear of each other’s changes and decisions', async () => {
    const url = await createTestDatabaseUrl();
    const here = await openUntilTestEnds({ kind: 'postgres', url });
    const there = await openUntilTestEnds({ kind: 'postgres', url });
    await insertProject(here.db, project());
    const config = await createHotConfig(there, { pollMs: 1_000_000 });
    onTestFinished(() => config.close());
    const rung = vi.fn<() => void>();
    there.onDecision(rung);
    await withChange(here, 'upstream', UPSTREAM, (trx) => insertUpstream(trx, upstream()));

    await vi.waitFor(() => expect(config.findUpstream(PROJECT, 'files')?.id).toBe('upstream-1'), SOON);
    rung.mockClear();
    await here.log.append({ decisions: [decision('d1')], outcomes: [] });
    await vi.waitFor(() => expect(rung).toHaveBeenCalled(), SOON);
  });

  it('read decisions in an order to which nothing is added later', async () => {
    const url = await createTestDatabaseUrl();
    const store = await openUntilTestEnds({ kind: 'postgres', url });
    const slow = await connect(url);
    const insert = `insert into decisions (id, project_id, create_time, effect, principal_id, body)
      values ('early', 'project-1', 0, 'allow', 'user-1', '{}')`;
    await slow.query('begin');
    await slow.query(insert);
    await store.log.append({ decisions: [decision('late')], outcomes: [] });
    const head = await store.log.head();
    const rung = vi.fn<() => void>();
    store.onDecision(rung);

    // 'late' is committed, but 'early' may yet come before it.
    expect(await store.log.readAfter(START, { limit: 9 })).toEqual([]);
    expect(await store.log.get(PROJECT, 'late')).toMatchObject({ decision: { id: 'late' } });
    await sleep(600);
    rung.mockClear();
    await slow.query('commit');
    await vi.waitFor(async () => {
      const rows = await store.log.readAfter(head, { limit: 9 });
      expect(rows.map((row) => row.decision.id)).toEqual(['early', 'late']);
    }, SOON);
    // Nobody notified of 'early', so the store looked.
    await vi.waitFor(() => expect(rung).toHaveBeenCalled(), SOON);
  });
});

describe('the store on PostgreSQL', () => {
  it('survives the loss of all its connections and hears changes again', async () => {
    const url = await createTestDatabaseUrl();
    const errors: unknown[] = [];
    const store = await openUntilTestEnds({ kind: 'postgres', url }, (error) => errors.push(error));
    const other = await openUntilTestEnds({ kind: 'postgres', url }, () => {});
    await insertProject(store.db, project());
    const heard = vi.fn<() => void>();
    store.onConfigChange(heard);
    const admin = await connect(url);
    const transaction = store.db.transaction().execute(async (trx) => {
      await sql`select 1`.execute(trx);
      await admin.query(
        "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and application_name = 'portcullis'",
      );
      await sql`select 1`.execute(trx);
    });

    await expect(transaction).rejects.toThrow(Error);
    // The reconnected listener rings once, because it may have missed something.
    await vi.waitFor(() => expect(heard).toHaveBeenCalled(), SOON);
    await store.ping();
    await store.log.append({ decisions: [decision('d1')], outcomes: [] });
    heard.mockClear();
    await vi.waitFor(() => withChange(other, 'project', PROJECT, async () => {}), SOON);
    await vi.waitFor(() => expect(heard).toHaveBeenCalled(), SOON);
    expect(errors.length).toBeGreaterThan(0);
  });

  it('leaves the number parsers of other users of pg alone', async () => {
    const url = await createTestDatabaseUrl();
    const store = await openUntilTestEnds({ kind: 'postgres', url });
    await insertProject(store.db, project());
    const client = await connect(url);

    expect((await client.query('select create_time from projects')).rows).toEqual([{ create_time: '1790000000000' }]);
    expect((await findProject(store.db, PROJECT))?.createTime).toBe(1_790_000_000_000);
  });

  it('says where it can not connect, and never the password', async () => {
    const url = new URL(await createTestDatabaseUrl());
    url.password = 'wrong-secret';
    const refused = await openDatabase({ kind: 'postgres', url: url.href }).catch((error: unknown) => error);

    expect(refused).toMatchObject({
      reason: 'unavailable',
      message: `PostgreSQL at 127.0.0.1:${url.port} can not be used (28P01). Check GATEWAY_DATABASE_URL and that the database runs.`,
    });
    expect(JSON.stringify(refused)).not.toContain('wrong-secret');
  });

  it('appends an outcome to a decision of an earlier batch and of the same one', async () => {
    const store = await openUntilTestEnds({ kind: 'postgres', url: await createTestDatabaseUrl() });
    await store.log.append({ decisions: [decision('d1')], outcomes: [] });
    await store.log.append({ decisions: [decision('d2')], outcomes: [outcome('d1'), outcome('d2')] });

    const rows = await store.log.list({ projectId: PROJECT, limit: 9 });
    expect(rows.map((row) => row.outcome?.status)).toEqual(['ok', 'ok']);
  });
});
