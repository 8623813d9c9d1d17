import type { Kysely } from 'kysely';
import type pg from 'pg';
import type { Bell } from './bell.ts';
import type { Database } from './database.ts';
import { createDecideCall, type DecideCall } from './decide-call.ts';
import { groupWrites } from './grouped-writes.ts';
import { createLogReader } from './log-reader.ts';
import { type LogBatch, type LogStore, storable } from './log-store.ts';
import { mergeBatches } from './merge-batches.ts';
import { decideGroup } from './postgres-decide.ts';

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

/** Keys that a group of calls locks at most, unless one call has more: locks take room in the memory that all connections share. */
const MAX_LOCKS = 256;

export interface PostgresLogStoreOptions {
  readonly db: Kysely<Database>;
  readonly pool: pg.Pool;
  /** Pipelines the statements of a transaction. */
  readonly decidePool: pg.Pool;
  readonly bell: Bell;
  /**
   * Rings the doorbell of other replicas, after the commit and not in it: NOTIFY inside would make the commits of all replicas wait
   * for each other.
   */
  readonly announce: () => void;
}

/** The decision log on PostgreSQL. */
export function createPostgresLogStore({ db, pool, decidePool, bell, announce }: PostgresLogStoreOptions): LogStore {
  function ring(decisions: number): void {
    if (decisions > 0) {
      void bell.ring();
      announce();
    }
  }

  const append = groupWrites<LogBatch>({
    async write(batches) {
      const { decisions, outcomes } = mergeBatches(batches);
      await pool.query({ ...APPEND, values: [JSON.stringify(storable(decisions)), JSON.stringify(outcomes)] });
      ring(decisions.length);
    },
    sizeOf: ({ decisions }) => decisions.length,
  });

  const decide = groupWrites<DecideCall>({
    write: async (calls) => ring(await decideGroup(decidePool, calls)),
    sizeOf: ({ reads }) => Math.max(1, reads.length),
    maxSize: MAX_LOCKS,
  });

  return {
    ...createLogReader(db, 'postgres'),
    append,
    async decide(reads, step) {
      const call = createDecideCall(reads, step);
      await decide(call);
      return call.result();
    },
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
