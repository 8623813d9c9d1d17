import { describe, expect, it, vi } from 'vitest';
import { withChange } from '../../src/db/config-changes.ts';
import type { LogStore } from '../../src/db/log-store.ts';
import { insertProject } from '../../src/db/projects.ts';
import { newId } from '../../src/domain/ids.ts';
import { databases, openUntilTestEnds, SOON } from './databases.ts';
import { decision, NOW, outcome, PROJECT, project } from './samples.ts';

const START = { tx: 0n, seq: 0n };
const append = (log: LogStore, ...ids: string[]) =>
  log.append({ decisions: ids.map((id) => decision(id)), outcomes: [] });
/** PostgreSQL shows decisions to readers of the log after older transactions, also those of other tests. */
async function untilReadable(log: LogStore): Promise<void> {
  const [newest] = await log.list({ projectId: PROJECT, limit: 1 });
  const { tx = 0n, seq = 0n } = newest?.position ?? {};
  await vi.waitFor(async () => {
    const head = await log.head();
    expect(head.tx > tx || (head.tx === tx && head.seq >= seq)).toBe(true);
  }, SOON);
}

const ids = (rows: Awaited<ReturnType<LogStore['list']>>) => rows.map((row) => row.decision.id);

describe.each(databases)('the decision log on $name', ({ locate }) => {
  it('returns decisions as they were written, with their outcome once it is there', async () => {
    const { log } = await openUntilTestEnds(await locate());
    await log.append({ decisions: [decision('d1'), decision('d2', { upstream_id: null, tool: null })], outcomes: [] });
    await log.append({ decisions: [], outcomes: [outcome('d1')] });

    await untilReadable(log);
    const [first, second] = await log.readAfter(START, { limit: 9 });
    expect(first?.decision).toEqual({
      id: 'd1',
      project_id: 'project-1',
      create_time: 1_790_000_000_000,
      effect: 'allow',
      principal_id: 'user-1',
      upstream_id: 'upstream-1',
      tool: 'read_file',
      body: '{"message":"Allowed \\u0000 \\"quoted\\" 🏰"}',
    });
    expect(first?.outcome).toEqual({
      decision_id: 'd1',
      end_time: 1_790_000_000_012,
      status: 'ok',
      latency_micros: 11_500,
      response_bytes: 3_000_000_000,
    });
    expect(second?.decision).toMatchObject({ id: 'd2', upstream_id: null, tool: null });
    expect(second).not.toHaveProperty('outcome');
    expect(await log.get(PROJECT, 'd1')).toEqual(first);
    expect(await log.get('other', 'd1')).toBeUndefined();
  });

  it('goes on exactly after a position', async () => {
    const { log } = await openUntilTestEnds(await locate());
    await append(log, 'd1', 'd2');
    await append(log, 'd3');
    await untilReadable(log);
    const [, second] = await log.readAfter(START, { limit: 2 });

    expect(ids(await log.readAfter(second?.position ?? START, { limit: 9 }))).toEqual(['d3']);
    await append(log, 'd4');
    await untilReadable(log);
    expect(ids(await log.readAfter(second?.position ?? START, { limit: 9 }))).toEqual(['d3', 'd4']);
  });

  it('has a head behind all that is readable and before all that follows', async () => {
    const { log } = await openUntilTestEnds(await locate());
    const empty = await log.head();
    await append(log, 'd1');
    await untilReadable(log);
    const head = await log.head();
    await append(log, 'd2');
    await untilReadable(log);

    expect(ids(await log.readAfter(empty, { limit: 9 }))).toEqual(['d1', 'd2']);
    expect(ids(await log.readAfter(head, { limit: 9 }))).toEqual(['d2']);
  });

  it('knows its oldest decision', async () => {
    const { log } = await openUntilTestEnds(await locate());
    expect(await log.oldest()).toBeUndefined();
    await append(log, 'd1');
    await append(log, 'd2');

    await untilReadable(log);
    const [first] = await log.readAfter(START, { limit: 1 });
    expect(await log.oldest()).toEqual(first?.position);
  });

  it('is read by project', async () => {
    const { log } = await openUntilTestEnds(await locate());
    await log.append({ decisions: [decision('d1'), decision('d2', { project_id: 'other' })], outcomes: [] });
    await untilReadable(log);

    expect(ids(await log.readAfter(START, { projectId: 'other', limit: 9 }))).toEqual(['d2']);
    expect(ids(await log.list({ projectId: PROJECT, limit: 9 }))).toEqual(['d1']);
  });

  it('is listed newest first, page by page', async () => {
    const { log } = await openUntilTestEnds(await locate());
    for (let n = 1; n <= 5; n++) await append(log, `d${n}`);
    await append(log, 'd6', 'd7');

    expect(ids(await log.list({ projectId: PROJECT, limit: 3 }))).toEqual(['d7', 'd6', 'd5']);
    expect(ids(await log.list({ projectId: PROJECT, beforeId: 'd5', limit: 3 }))).toEqual(['d4', 'd3', 'd2']);
    expect(ids(await log.list({ projectId: PROJECT, beforeId: 'unknown', limit: 3 }))).toEqual([]);
  });

  it('is listed by effect, principal, upstream, tool and time', async () => {
    const { log } = await openUntilTestEnds(await locate());
    const odd = [
      decision('effect', { effect: 'deny' }),
      decision('principal', { principal_id: 'user-9' }),
      decision('upstream', { upstream_id: 'upstream-9' }),
      decision('tool', { tool: 'write_file' }),
      decision('time', { create_time: NOW + 1_000 }),
    ];
    await log.append({ decisions: [decision('plain'), ...odd], outcomes: [] });
    const list = async (filter: Omit<Parameters<LogStore['list']>[0], 'projectId' | 'limit'>) =>
      ids(await log.list({ projectId: PROJECT, limit: 9, ...filter }));

    expect(await list({ effect: 'deny' })).toEqual(['effect']);
    expect(await list({ principalId: 'user-9' })).toEqual(['principal']);
    expect(await list({ upstreamId: 'upstream-9' })).toEqual(['upstream']);
    expect(await list({ tool: 'write_file' })).toEqual(['tool']);
    expect(await list({ startTime: NOW + 1_000 })).toEqual(['time']);
    expect(await list({ endTime: NOW + 1_000 })).toEqual(['tool', 'upstream', 'principal', 'effect', 'plain']);
    expect(await list({ effect: 'deny', tool: 'write_file' })).toEqual([]);
  });

  it('is scanned oldest first by project and time, page by page', async () => {
    const { log } = await openUntilTestEnds(await locate());
    const rows = [0, 1, 2, 3, 4].map((n) => decision(`d${n}`, { create_time: NOW + n }));
    await log.append({ decisions: [...rows, decision('other', { project_id: 'other' })], outcomes: [outcome('d1')] });
    await untilReadable(log);

    const page = await log.scan(PROJECT, { startTime: NOW + 1, endTime: NOW + 4, limit: 2 });
    expect(page.map((row) => row.decision)).toEqual([rows[1], rows[2]]);
    expect(page[0]).not.toHaveProperty('outcome');
    const after = page.at(-1)?.position;
    expect(ids(await log.scan(PROJECT, { startTime: NOW + 1, endTime: NOW + 4, after, limit: 2 }))).toEqual(['d3']);
    expect(ids(await log.scan(PROJECT, { limit: 9 }))).toEqual(['d0', 'd1', 'd2', 'd3', 'd4']);
    expect(ids(await log.scan('nowhere', { limit: 9 }))).toEqual([]);
  });

  it('is scanned for a time in the middle of it, wherever commits have put the decisions of that time', async () => {
    const { log } = await openUntilTestEnds(await locate());
    const minute = 60_000;
    // Minutes after NOW at which decisions were made, in the order of their commits.
    const minutes = [-30, -15, -9, 0, 3, -6, 2, 9, 1, 15, 8, 30];
    for (const n of minutes) {
      const time = NOW + n * minute;
      await log.append({ decisions: [decision(newId(time), { create_time: time, tool: String(n) })], outcomes: [] });
    }
    await untilReadable(log);
    const scan = async (from: number, to: number) => {
      const rows = await log.scan(PROJECT, { startTime: NOW + from * minute, endTime: NOW + to * minute, limit: 99 });
      return rows.map((row) => Number(row.decision.tool));
    };

    expect(await scan(0, 4)).toEqual([0, 3, 2, 1]);
    expect(await scan(-99, 0)).toEqual([-30, -15, -9, -6]);
    expect(await scan(-6, 1)).toEqual([0, -6]);
    expect(await scan(4, 99)).toEqual([9, 15, 8, 30]);
    expect(await scan(-99, 99)).toEqual(minutes);
    expect(await scan(50, 60)).toEqual([]);
  });

  it('stores a batch wholly or not at all', async () => {
    const { log } = await openUntilTestEnds(await locate());
    await append(log, 'd1');

    await expect(
      log.append({ decisions: [decision('d2'), decision('d1')], outcomes: [outcome('d1')] }),
    ).rejects.toThrow(/unique/i);
    await untilReadable(log);
    const rows = await log.readAfter(START, { limit: 9 });
    expect(ids(rows)).toEqual(['d1']);
    expect(rows[0]).not.toHaveProperty('outcome');
    await append(log, 'd3');
    expect(ids(await log.list({ projectId: PROJECT, limit: 9 }))).toEqual(['d3', 'd1']);
  });

  it('keeps the first outcome of a decision', async () => {
    const { log } = await openUntilTestEnds(await locate());
    await log.append({ decisions: [decision('d1')], outcomes: [outcome('d1')] });
    await log.append({ decisions: [], outcomes: [outcome('d1', { status: 'timeout' })] });

    expect((await log.get(PROJECT, 'd1'))?.outcome?.status).toBe('ok');
  });

  it('is not spoilt by a name of a tool that a database can not store', async () => {
    const { log } = await openUntilTestEnds(await locate());
    await log.append({
      decisions: [
        decision('nul', { tool: 'a\0b' }),
        decision('half', { tool: 'a\ud83db' }),
        decision('whole', { tool: '🏰' }),
      ],
      outcomes: [],
    });

    await untilReadable(log);
    const tools = (await log.readAfter(START, { limit: 9 })).map((row) => row.decision.tool);
    expect(tools).toEqual(['a\uFFFDb', 'a\uFFFDb', '🏰']);
  });

  it('takes appends while a transaction of configuration is open, and keeps them when that is rolled back', async () => {
    const store = await openUntilTestEnds(await locate());
    const opened = Promise.withResolvers<void>();
    const release = Promise.withResolvers<void>();
    const rolledBack = withChange(store, 'project', PROJECT, async (trx) => {
      await insertProject(trx, project());
      opened.resolve();
      await release.promise;
      throw new Error('on purpose');
    });
    rolledBack.catch(() => {});
    await opened.promise;
    const appends = [append(store.log, 'd1'), append(store.log, 'd2')];
    setImmediate(release.resolve);

    await Promise.all(appends);
    await expect(rolledBack).rejects.toThrow('on purpose');
    expect(ids(await store.log.list({ projectId: PROJECT, limit: 9 })).sort()).toEqual(['d1', 'd2']);
  });

  it('loses nothing and repeats nothing for a reader that follows while many write', async () => {
    const { log } = await openUntilTestEnds(await locate());
    const written = Array.from({ length: 200 }, (_, n) => `d${n}`);
    const writing = Promise.all(written.map((id) => append(log, id)));
    const read: string[] = [];
    let position = START;
    const readOn = async () => {
      const rows = await log.readAfter(position, { limit: 7 });
      read.push(...ids(rows));
      position = rows.at(-1)?.position ?? position;
    };
    while (read.length < 200) {
      await readOn();
      await new Promise(setImmediate);
    }
    await writing;
    await readOn();

    expect(read).toHaveLength(200);
    expect(new Set(read)).toEqual(new Set(written));
  });

  it('rings for committed decisions until the listener unsubscribes', async () => {
    const store = await openUntilTestEnds(await locate());
    const rung = vi.fn<() => void>();
    const unsubscribe = store.onDecision(rung);
    await append(store.log, 'd1');
    await vi.waitFor(() => expect(rung).toHaveBeenCalled(), SOON);
    unsubscribe();
    rung.mockClear();
    await append(store.log, 'd2');

    expect(rung).not.toHaveBeenCalled();
  });
});
