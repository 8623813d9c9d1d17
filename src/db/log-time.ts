import { type Kysely, sql } from 'kysely';
import type { LogPosition } from '../domain/decision.ts';
import type { Database } from './database.ts';

/** A stretch of the log; absent = to its end. */
export interface LogStretch {
  readonly after?: LogPosition;
  readonly before?: LogPosition;
}

/** How far, in milliseconds, a commit may lie behind the making of the decision, and the clocks of replicas apart, together. */
const SLACK_MS = 600_000;

/**
 * A stretch that holds all decisions made in a time (Unix milliseconds), and not many others, so that nobody reads the whole log to find
 * them: ids begin with a time, and there is an index of them, but the log is in the order of commits.
 */
export async function findStretch(
  db: Kysely<Database>,
  { startTime, endTime }: { readonly startTime?: number | undefined; readonly endTime?: number | undefined },
): Promise<LogStretch> {
  const rows = db
    .selectFrom('decisions as d')
    .select([...POSITION_COLUMNS, 'd.create_time'])
    .limit(1);
  const after =
    startTime === undefined
      ? undefined
      : await rows
          .where('id', '<', idOf(startTime - SLACK_MS))
          .orderBy('id', 'desc')
          .executeTakeFirst();
  const before =
    endTime === undefined
      ? undefined
      : await rows
          .where('id', '>=', idOf(endTime + SLACK_MS))
          .orderBy('id')
          .executeTakeFirst();
  // An id that is no UUIDv7 says nothing of the time.
  return {
    ...(after !== undefined && after.create_time < (startTime ?? 0) && { after: toPosition(after) }),
    ...(before !== undefined && before.create_time >= (endTime ?? 0) && { before: toPosition(before) }),
  };
}

/** As text, because neither driver hands out 64-bit integers as they are. */
export const POSITION_COLUMNS = [
  sql<string>`cast(d.tx as text)`.as('position_tx'),
  sql<string>`cast(d.seq as text)`.as('position_seq'),
] as const;

/** The position in a row of {@link POSITION_COLUMNS}. */
export function toPosition(row: { readonly position_tx: string; readonly position_seq: string }): LogPosition {
  return { tx: BigInt(row.position_tx), seq: BigInt(row.position_seq) };
}

/** How a UUIDv7 of that time begins: before all of them, and after all earlier ones. */
function idOf(time: number): string {
  const hex = Math.max(0, time).toString(16).padStart(12, '0');
  return `${hex.slice(0, 8)}-${hex.slice(8)}`;
}
