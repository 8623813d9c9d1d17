import type { LogPosition } from '../domain/decision.ts';
import type { StateRead, StateValue, StateWrite } from '../domain/policy-state.ts';

/** A row of `decisions` as it is written; `seq` and `tx` come from the database. */
export interface DecisionRow {
  readonly id: string;
  readonly project_id: string;
  /** Unix milliseconds. */
  readonly create_time: number;
  readonly effect: 'allow' | 'deny' | 'require_approval';
  readonly principal_id: string;
  readonly upstream_id: string | null;
  readonly tool: string | null;
  /** JSON text of the Decision's other fields. */
  readonly body: string;
}

/** A row of `decision_outcomes`. */
export interface OutcomeRow {
  readonly decision_id: string;
  /** Unix milliseconds. */
  readonly end_time: number;
  readonly status: string;
  readonly latency_micros: number;
  readonly response_bytes: number;
}

/** A row of `policy_states`, as it becomes; times are Unix milliseconds. */
export interface StateRow {
  readonly key: string;
  readonly project_id: string;
  readonly value: number;
  readonly time: number;
  readonly updates: number;
  readonly expire_time: number;
}

/** A row of `policy_state_times`. */
export interface StateTimeRow {
  readonly key: string;
  readonly update_number: number;
  /** Unix milliseconds. */
  readonly time: number;
  /** Unix milliseconds. */
  readonly expire_time: number;
}

/** What decisions change of the state that rules keep; each key at most once in `states`. */
export interface StateChanges {
  readonly states: readonly StateRow[];
  readonly times: readonly StateTimeRow[];
}

/** What one transaction writes. */
export interface LogBatch {
  readonly decisions: readonly DecisionRow[];
  readonly outcomes: readonly OutcomeRow[];
  /** Absent = none. */
  readonly states?: StateChanges;
}

/** What deciding a call with state leads to. */
export interface DecideStep<Result> {
  readonly decision: DecisionRow;
  /** Of keys that were read only. */
  readonly writes: readonly StateWrite[];
  /** What the caller gets once the rest is committed. */
  readonly result: Result;
}

/** A decision with its place in the log, and its outcome where that is known already. */
export interface LoggedRow {
  readonly decision: DecisionRow;
  readonly outcome?: OutcomeRow;
  readonly position: LogPosition;
}

/** Which decisions of a project a list returns; times are Unix milliseconds, start included, end not. */
export interface LogFilter {
  readonly projectId: string;
  /** The last id of the page before. */
  readonly beforeId?: string | undefined;
  readonly effect?: DecisionRow['effect'] | undefined;
  readonly principalId?: string | undefined;
  readonly upstreamId?: string | undefined;
  readonly tool?: string | undefined;
  readonly startTime?: number | undefined;
  readonly endTime?: number | undefined;
  readonly limit: number;
}

/** Which decisions of a project a scan returns; times are Unix milliseconds, start included, end not. */
export interface ScanOptions {
  readonly startTime?: number | undefined;
  readonly endTime?: number | undefined;
  /** The last position of the page before. */
  readonly after?: LogPosition | undefined;
  readonly limit: number;
}

/** The decision log: append-only, read in commit order. */
export interface LogStore {
  /**
   * Commits a batch in one transaction, perhaps together with others that are appended meanwhile: when it resolves, all of it survives a crash. Characters of `tool` that PostgreSQL can not
   * store (NUL, lone surrogates) become U+FFFD on either database, so that one caller can not spoil the batch of others. A repeated outcome is ignored, a repeated
   * decision is an error. Throws what the driver threw; then nothing of the batch is stored, unless the connection broke in the commit.
   */
  append(batch: LogBatch): Promise<void>;
  /**
   * Decides a call with state: `step` is called once, with the state under the keys in the order of `reads` (undefined = none, or it has
   * expired), and no other call's step for any of these keys runs on any replica until what it returns is committed, in one transaction.
   * Resolves then, so all of it survives a crash. Throws what `step` threw, and then nothing is stored; or what the driver threw, as
   * `append` does. `step` must not wait for anything and need not be pure.
   */
  decide<Result>(
    reads: readonly StateRead[],
    step: (states: readonly (StateValue | undefined)[]) => DecideStep<Result>,
  ): Promise<Result>;
  /**
   * Decisions after a position, in the log's order; no decision can appear later before one that was returned. On PostgreSQL a
   * decision is readable here once every transaction that began to write before it has ended, in any database of that server.
   */
  readAfter(
    position: LogPosition,
    options: { readonly projectId?: string | undefined; readonly limit: number },
  ): Promise<LoggedRow[]>;
  /** A position after every decision readable now, and before every later one. */
  head(): Promise<LogPosition>;
  /** Position of the oldest decision kept; undefined when the log is empty. */
  oldest(): Promise<LogPosition | undefined>;
  /** Newest first. */
  list(filter: LogFilter): Promise<LoggedRow[]>;
  /** Oldest first, in the log's order and with the limits of `readAfter`, without outcomes: for reading much of it. */
  scan(projectId: string, options: ScanOptions): Promise<LoggedRow[]>;
  /** The decision of the project with this id. */
  get(projectId: string, id: string): Promise<LoggedRow | undefined>;
}

/** The rows with names of tools that both databases can store; the same array when there is nothing to change, as nearly always. */
export function storable(rows: readonly DecisionRow[]): readonly DecisionRow[] {
  return rows.every(isStorable) ? rows : rows.map((row) => ({ ...row, tool: replaceUnstorable(row.tool) }));
}

function isStorable({ tool }: DecisionRow): boolean {
  return tool === null || (tool.isWellFormed() && !tool.includes('\0'));
}

function replaceUnstorable(tool: string | null): string | null {
  return tool === null ? null : tool.toWellFormed().replaceAll('\0', '\uFFFD');
}
