import type pg from 'pg';
import { type DecideCall, runCalls } from './decide-call.ts';
import { type DecisionRow, type StateChanges, type StateRow, storable } from './log-store.ts';
import { toStorableKey } from './state-key.ts';
import { createStateView, type StateSource } from './state-view.ts';

/**
 * Keeps other transactions from the keys until this one ends, on every replica. The order is that of the locks, so that no two
 * transactions wait for each other, even when two keys share a lock.
 */
const LOCK = {
  name: 'lock_states',
  text: `select pg_advisory_xact_lock(id)
    from (select distinct hashtextextended(key, 0) as id from unnest($1::text[]) as key order by id) as locks`,
};

/**
 * A statement must see what was committed before it, not before the transaction. Plans are kept with the connection, and one that was
 * made while a table was small would go on reading all of it as it grows.
 */
const BEGIN = 'begin isolation level read committed; set local enable_seqscan = off';

/**
 * The states, each with the times that some call of the group may ask for; a statement after the lock's, to see what was committed before
 * it. `offset 0` makes PostgreSQL look up key by key.
 */
const READ = {
  name: 'read_states',
  text: `select s.key, s.value, s.time, s.updates, s.expire_time, t.update_numbers, t.times
    from unnest($1::text[], $2::bigint[], $3::bigint[]) as asked (key, lag, calls)
    cross join lateral (select * from policy_states where policy_states.key = asked.key offset 0) s
    left join lateral (
      select array_agg(update_number) as update_numbers, array_agg(time) as times from policy_state_times
      where policy_state_times.key = s.key
        and update_number between s.updates - asked.lag + 1 and s.updates - asked.lag + asked.calls
    ) t on asked.lag > 0`,
};

const WRITE = {
  name: 'write_decisions',
  text: `with inserted as (
      insert into decisions (id, project_id, create_time, effect, principal_id, upstream_id, tool, body)
      select id, project_id, create_time, effect, principal_id, upstream_id, tool, body from json_to_recordset($1) as row (
        id text, project_id text, create_time bigint, effect text, principal_id text, upstream_id text, tool text, body text)),
    changed as (
      insert into policy_states (key, project_id, value, time, updates, expire_time)
      select key, project_id, value, time, updates, expire_time from json_to_recordset($2) as row (
        key text, project_id text, value double precision, time bigint, updates bigint, expire_time bigint)
      on conflict (key) do update set project_id = excluded.project_id, value = excluded.value, time = excluded.time,
        updates = excluded.updates, expire_time = excluded.expire_time)
    insert into policy_state_times (key, update_number, time, expire_time)
    select key, update_number, time, expire_time from json_to_recordset($3) as row (
      key text, update_number bigint, time bigint, expire_time bigint)
    on conflict (key, update_number) do update set time = excluded.time, expire_time = excluded.expire_time`,
};

const nothing: StateChanges = { states: [], times: [] };

/**
 * Decides a group of calls in one transaction of two round trips: lock and read, then write and commit. `pool` must pipeline its
 * statements. Returns how many decisions were committed; throws what the driver threw, and then none is, unless the connection broke in
 * the commit.
 */
export async function decideGroup(pool: pg.Pool, calls: readonly DecideCall[]): Promise<number> {
  const client = await pool.connect();
  try {
    const view = createStateView(await readStates(client, calls));
    const decisions = runCalls(calls, view);
    await write(client, decisions, view.changes() ?? nothing);
    client.release();
    return decisions.length;
  } catch (error) {
    // Ending the connection also ends the transaction, whatever state it is in.
    client.release(true);
    throw error;
  }
}

/** What a group asks for under one key. */
interface AskedKey {
  lags: Set<number>;
  /** So many calls of the group may write it, and those after them look back from there. */
  calls: number;
}

async function readStates(client: pg.PoolClient, calls: readonly DecideCall[]): Promise<StateSource> {
  const asked = askedKeys(calls);
  const rows = [...asked].flatMap(([key, { lags, calls: count }]) =>
    [...(lags.size === 0 ? [0] : lags)].map((lag) => ({ key, lag, count })),
  );
  const values = [rows.map(({ key }) => key), rows.map(({ lag }) => lag), rows.map(({ count }) => count)];
  const [, , read] = await all([
    client.query(BEGIN),
    client.query({ ...LOCK, values: [[...asked.keys()]] }),
    client.query<ReadRow>({ ...READ, values }),
  ]);
  return toSource(read.rows);
}

function askedKeys(calls: readonly DecideCall[]): Map<string, AskedKey> {
  const asked = new Map<string, AskedKey>();
  for (const { reads } of calls) {
    for (const { key: rawKey, lag } of reads) {
      const key = toStorableKey(rawKey);
      const known = asked.get(key) ?? { lags: new Set(), calls: 0 };
      asked.set(key, known);
      known.calls++;
      if (lag !== undefined) known.lags.add(lag);
    }
  }
  return asked;
}

interface ReadRow extends Omit<StateRow, 'project_id'> {
  /** As text, because the driver does not parse 64-bit integers in arrays; null = none was asked for, or none is there. */
  readonly update_numbers: readonly string[] | null;
  readonly times: readonly string[] | null;
}

function toSource(rows: readonly ReadRow[]): StateSource {
  const states = new Map<string, ReadRow>();
  const times = new Map<string, Map<number, number>>();
  for (const row of rows) {
    states.set(row.key, row);
    const known = times.get(row.key) ?? new Map<number, number>();
    times.set(row.key, known);
    for (const [index, updateNumber] of (row.update_numbers ?? []).entries()) {
      known.set(Number(updateNumber), Number(row.times?.[index]));
    }
  }
  return {
    find: (key) => states.get(key),
    findTime: (key, updateNumber) => times.get(key)?.get(updateNumber),
  };
}

async function write(client: pg.PoolClient, decisions: readonly DecisionRow[], changes: StateChanges): Promise<void> {
  if (decisions.length === 0) {
    await client.query('rollback');
    return;
  }
  const values = [storable(decisions), changes.states, changes.times].map((rows) => JSON.stringify(rows));
  await all([client.query({ ...WRITE, values }), client.query('commit')]);
}

/** All results, or the first failure once none is under way any more: a statement that fails makes those after it fail too. */
async function all<Results extends readonly unknown[]>(
  queries: {
    readonly [Index in keyof Results]: Promise<Results[Index]>;
  },
): Promise<Results> {
  await Promise.allSettled(queries);
  return Promise.all(queries) as Promise<Results>;
}
