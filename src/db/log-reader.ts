import { type Kysely, type Selectable, type SelectQueryBuilder, sql } from 'kysely';
import type { LogPosition } from '../domain/decision.ts';
import type { Database, DecisionOutcomeTable } from './database.ts';
import type { LogFilter, LoggedRow, LogStore } from './log-store.ts';

type Reader = Pick<LogStore, 'readAfter' | 'oldest' | 'list' | 'get'>;

/**
 * Reads the log on either database. Its order is `seq` on SQLite and (tx, seq) on PostgreSQL, where `settled` keeps away rows that
 * a transaction still running may yet put others before.
 */
export function createLogReader(db: Kysely<Database>, kind: 'sqlite' | 'postgres'): Reader {
  const order = kind === 'sqlite' ? (['d.seq'] as const) : (['d.tx', 'd.seq'] as const);
  const settled = kind === 'sqlite' ? undefined : sql<boolean>`d.tx < ${SETTLED_BELOW}`;
  const after = (position: LogPosition) =>
    kind === 'sqlite'
      ? sql<boolean>`d.seq > ${position.seq}`
      : sql<boolean>`(d.tx, d.seq) > (${position.tx}, ${position.seq})`;
  const before = (id: string) => {
    const key = kind === 'sqlite' ? sql`seq` : sql`tx, seq`;
    return sql<boolean>`(${sql.join(order.map((column) => sql.ref(column)))}) < (select ${key} from decisions where id = ${id})`;
  };
  return {
    async readAfter(position, { projectId, limit }) {
      let query = selectLogged(db).where(after(position)).limit(limit);
      if (settled !== undefined) query = query.where(settled);
      if (projectId !== undefined) query = query.where('d.project_id', '=', projectId);
      for (const column of order) query = query.orderBy(column);
      return (await query.execute()).map(toLoggedRow);
    },
    async oldest() {
      let query = db.selectFrom('decisions as d').select(POSITION_COLUMNS).limit(1);
      for (const column of order) query = query.orderBy(column);
      const row = await query.executeTakeFirst();
      return row && toPosition(row);
    },
    async list(filter) {
      let query = applyFilter(selectLogged(db), filter);
      if (filter.beforeId !== undefined) query = query.where(before(filter.beforeId));
      for (const column of order) query = query.orderBy(column, 'desc');
      return (await query.execute()).map(toLoggedRow);
    },
    async get(projectId, id) {
      const query = selectLogged(db).where('d.id', '=', id).where('d.project_id', '=', projectId);
      const row = await query.executeTakeFirst();
      return row && toLoggedRow(row);
    },
  };
}

/** PostgreSQL: transactions below this id have ended, and none of them can commit any more. */
const SETTLED_BELOW = sql`pg_snapshot_xmin(pg_current_snapshot())::text::bigint`;

/** As text, because neither driver hands out 64-bit integers as they are. */
const POSITION_COLUMNS = [
  sql<string>`cast(d.tx as text)`.as('position_tx'),
  sql<string>`cast(d.seq as text)`.as('position_seq'),
] as const;

function selectLogged(db: Kysely<Database>) {
  return db
    .selectFrom('decisions as d')
    .leftJoin('decision_outcomes as o', 'o.decision_id', 'd.id')
    .select([
      'd.id',
      'd.project_id',
      'd.create_time',
      'd.effect',
      'd.principal_id',
      'd.upstream_id',
      'd.tool',
      'd.body',
    ])
    .select(['o.end_time', 'o.status', 'o.latency_micros', 'o.response_bytes'])
    .select(POSITION_COLUMNS);
}

type LoggedQuery = ReturnType<typeof selectLogged>;
type LoggedColumns = LoggedQuery extends SelectQueryBuilder<infer _Tables, infer _From, infer Row> ? Row : never;

function applyFilter(start: LoggedQuery, filter: LogFilter): LoggedQuery {
  let query = start.where('d.project_id', '=', filter.projectId).limit(filter.limit);
  if (filter.effect !== undefined) query = query.where('d.effect', '=', filter.effect);
  if (filter.principalId !== undefined) query = query.where('d.principal_id', '=', filter.principalId);
  if (filter.upstreamId !== undefined) query = query.where('d.upstream_id', '=', filter.upstreamId);
  if (filter.tool !== undefined) query = query.where('d.tool', '=', filter.tool);
  if (filter.startTime !== undefined) query = query.where('d.create_time', '>=', filter.startTime);
  if (filter.endTime !== undefined) query = query.where('d.create_time', '<', filter.endTime);
  return query;
}

function toPosition(row: { position_tx: string; position_seq: string }): LogPosition {
  return { tx: BigInt(row.position_tx), seq: BigInt(row.position_seq) };
}

function toLoggedRow(row: LoggedColumns): LoggedRow {
  const { end_time, status, latency_micros, response_bytes, position_tx, position_seq, ...decision } = row;
  const position = toPosition({ position_tx, position_seq });
  if (end_time === null) return { decision, position };
  // The outcome's columns are all present or, by the left join, all null.
  const outcome = {
    decision_id: decision.id,
    end_time,
    status,
    latency_micros,
    response_bytes,
  } as Selectable<DecisionOutcomeTable>;
  return { decision, outcome, position };
}
