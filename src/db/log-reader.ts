import { type Compilable, type Kysely, type Selectable, type SelectQueryBuilder, sql } from 'kysely';
import type { LogPosition } from '../domain/decision.ts';
import type { Database, DecisionOutcomeTable } from './database.ts';
import type { LogFilter, LoggedRow, LogStore } from './log-store.ts';
import { findStretch, POSITION_COLUMNS, toPosition } from './log-time.ts';

type Reader = Pick<LogStore, 'readAfter' | 'oldest' | 'list' | 'scan' | 'get'>;

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
  const beforePosition = (position: LogPosition) =>
    kind === 'sqlite'
      ? sql<boolean>`d.seq < ${position.seq}`
      : sql<boolean>`(d.tx, d.seq) < (${position.tx}, ${position.seq})`;
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
    async scan(projectId, { startTime, endTime, after: position, limit }) {
      const stretch = await findStretch(db, { startTime: position === undefined ? startTime : undefined, endTime });
      const begin = position ?? stretch.after;
      let query = selectDecisions(db).where('d.project_id', '=', projectId).limit(limit);
      if (settled !== undefined) query = query.where(settled);
      if (begin !== undefined) query = query.where(after(begin));
      if (stretch.before !== undefined) query = query.where(beforePosition(stretch.before));
      if (startTime !== undefined) query = query.where('d.create_time', '>=', startTime);
      if (endTime !== undefined) query = query.where('d.create_time', '<', endTime);
      for (const column of order) query = query.orderBy(column);
      const rows = kind === 'sqlite' ? await query.execute() : await executeByIndex(db, query);
      return rows.map(({ position_tx, position_seq, ...decision }) => ({
        decision,
        position: toPosition({ position_tx, position_seq }),
      }));
    },
    async get(projectId, id) {
      const query = selectLogged(db).where('d.id', '=', id).where('d.project_id', '=', projectId);
      const row = await query.executeTakeFirst();
      return row && toLoggedRow(row);
    },
  };
}

/** Without statistics, as of a table that grew fast, PostgreSQL would sort all the rest of the log for each page. */
function executeByIndex<Row>(db: Kysely<Database>, query: Compilable<Row>): Promise<Row[]> {
  return db.transaction().execute(async (trx) => {
    await sql`select set_config('enable_bitmapscan', 'off', true), set_config('enable_seqscan', 'off', true)`.execute(
      trx,
    );
    return (await trx.executeQuery(query.compile())).rows;
  });
}

/** PostgreSQL: transactions below this id have ended, and none of them can commit any more. */
const SETTLED_BELOW = sql`pg_snapshot_xmin(pg_current_snapshot())::text::bigint`;

const DECISION_COLUMNS = [
  'd.id',
  'd.project_id',
  'd.create_time',
  'd.effect',
  'd.principal_id',
  'd.upstream_id',
  'd.tool',
  'd.body',
] as const;

function selectDecisions(db: Kysely<Database>) {
  return db.selectFrom('decisions as d').select(DECISION_COLUMNS).select(POSITION_COLUMNS);
}

function selectLogged(db: Kysely<Database>) {
  return db
    .selectFrom('decisions as d')
    .leftJoin('decision_outcomes as o', 'o.decision_id', 'd.id')
    .select(DECISION_COLUMNS)
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
