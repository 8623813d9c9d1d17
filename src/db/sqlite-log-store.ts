import type { DatabaseSync } from 'node:sqlite';
import type { Kysely } from 'kysely';
import type { Bell } from './bell.ts';
import type { Database } from './database.ts';
import { createDecideCall, type DecideCall, runCalls } from './decide-call.ts';
import { groupWrites } from './grouped-writes.ts';
import { createLogReader } from './log-reader.ts';
import type { LogBatch, LogStore } from './log-store.ts';
import { mergeBatches } from './merge-batches.ts';
import { createStateView, type StateSource } from './state-view.ts';

/** What waits to be written: rows, or a call whose step runs when what came before is committed. */
type Write = LogBatch | DecideCall;

/** Adds to the log; resolves when it is on disk, rejects with what SQLite threw, and then nothing of it is stored. */
export type WriteLog = (write: Write) => Promise<void>;

/** Calls whose steps run in one turn of the event loop, and decisions in one transaction, at most. */
const MAX_GROUP = 2_000;

/**
 * Writes in groups, one after the other. The steps of a group's calls run when the group before it has ended, on what is committed
 * then: what was not committed is never built upon.
 */
export function createGroupedLog(append: (batch: LogBatch) => Promise<void>, source: StateSource): WriteLog {
  return groupWrites<Write>({
    async write(writes) {
      const batch = toBatch(writes, source);
      if (!isEmpty(batch)) await append(batch);
    },
    sizeOf: (write) => (isCall(write) ? 1 : write.decisions.length),
    maxSize: MAX_GROUP,
  });
}

/** Writes each at once, in this thread, when no transaction is open. */
export function createDirectLog(
  append: (batch: LogBatch) => void,
  source: StateSource,
  transactionEnd: () => Promise<void> | undefined,
): WriteLog {
  return async (write) => {
    // In this thread, waiting for a lock inside SQLite would also stop the transaction that has to give it back.
    for (let end = transactionEnd(); end !== undefined; end = transactionEnd()) await end;
    const batch = toBatch([write], source);
    if (!isEmpty(batch)) append(batch);
  };
}

/** The decision log on SQLite; `main` is the connection of `db`. */
export function createSqliteLogStore(db: Kysely<Database>, main: DatabaseSync, write: WriteLog, bell: Bell): LogStore {
  const newest = main.prepare("select cast(seq as text) as seq from sqlite_sequence where name = 'decisions'");
  return {
    ...createLogReader(db, 'sqlite'),
    async append(batch) {
      await write(batch);
      if (batch.decisions.length > 0) void bell.ring();
    },
    async decide(reads, step) {
      const call = createDecideCall(reads, step);
      await write(call);
      const result = call.result();
      void bell.ring();
      return result;
    },
    async head() {
      const row = newest.get();
      return { tx: 0n, seq: BigInt(typeof row?.seq === 'string' ? row.seq : 0) };
    },
  };
}

function toBatch(writes: readonly Write[], source: StateSource): LogBatch {
  const calls = writes.filter(isCall);
  const batch = mergeBatches(writes.filter((write): write is LogBatch => !isCall(write)));
  if (calls.length === 0) return batch;
  const view = createStateView(source);
  const decisions = runCalls(calls, view);
  const states = view.changes();
  return { ...batch, decisions: [...batch.decisions, ...decisions], ...(states !== undefined && { states }) };
}

function isCall(write: Write): write is DecideCall {
  return 'run' in write;
}

function isEmpty({ decisions, outcomes }: LogBatch): boolean {
  return decisions.length === 0 && outcomes.length === 0;
}
