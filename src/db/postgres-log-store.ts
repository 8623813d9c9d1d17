import type { Kysely } from 'kysely';
import type pg from 'pg';
import type { Bell } from './bell.ts';
import type { Database } from './database.ts';
import { groupAppends } from './grouped-append.ts';
import { createLogReader } from './log-reader.ts';
import { type LogBatch, type LogStore, storable } from './log-store.ts';

/** Both tables from one JSON parameter each, in one round trip that is its own transaction. */
const APPEND = {
  name: 'append',
  text: `with inserted as (
      insert into decisions (id, project_id, create_time, effect, principal_id, upstream_id, tool, body)
      select id, project_id, create_time, effect, principal_id, upstream_id, tool, body from json_to_recordset($1) as row (
        id text, project_id text, create_time bigint, effect text, principal_id text, upstream_id text, tool text, body text))
    insert into decision_outcomes (decision_id, end_time, status, latency_micros, response_bytes)
    select decision_id, end_time, status, latency_micros, response_bytes from json_to_recordset($2) as row (
      decision_id text, end_time bigint, status text, latency_micros bigint, response_bytes bigint)
    on conflict do nothing`,
};

/**
 * The decision log on PostgreSQL. `announce` rings the doorbell of other replicas, after the commit and not in it: NOTIFY inside
 * would make the commits of all replicas wait for each other.
 */
export function createPostgresLogStore(
  db: Kysely<Database>,
  pool: pg.Pool,
  bell: Bell,
  announce: () => void,
): LogStore {
  async function write({ decisions, outcomes }: LogBatch): Promise<void> {
    await pool.query({ ...APPEND, values: [JSON.stringify(storable(decisions)), JSON.stringify(outcomes)] });
    if (decisions.length > 0) {
      void bell.ring();
      announce();
    }
  }

  return {
    ...createLogReader(db, 'postgres'),
    append: groupAppends(write),
    async head() {
      const { rows } = await pool.query<{ tx: string }>('select pg_snapshot_xmin(pg_current_snapshot())::text as tx');
      return { tx: BigInt(rows[0]?.tx ?? 0), seq: 0n };
    },
  };
}

/** How long announcements are gathered, in milliseconds. */
const ANNOUNCE_MS = 10;

/** Calls `notify` soon, once for all calls until then. */
export function createAnnouncer(notify: () => void): () => void {
  let pending = false;
  return () => {
    if (pending) return;
    pending = true;
    setTimeout(() => {
      pending = false;
      notify();
    }, ANNOUNCE_MS).unref();
  };
}
