import type { DecisionRow, LogBatch, OutcomeRow, StateChanges, StateRow, StateTimeRow } from './log-store.ts';

/** What the writing thread is sent: a batch, its rows end to end, as copying flat arrays between threads is cheap; or the order to end. */
export type LogThreadRequest = FlatBatch | 'close';

interface FlatBatch {
  readonly decisions: FlatRows;
  readonly outcomes: FlatRows;
  readonly states?: FlatRows;
  readonly times?: FlatRows;
}

/** What it answers to a batch: nothing, or why it is not stored. */
export type LogThreadReply = Error | undefined;

type FlatRows = readonly (string | number | null)[];

const DECISION_WIDTH = 8;
const OUTCOME_WIDTH = 5;
const STATE_WIDTH = 6;
const TIME_WIDTH = 4;

/** Flattens a batch for the way to the thread. */
export function encodeBatch({ decisions, outcomes, states }: LogBatch): FlatBatch {
  const flatDecisions: (string | number | null)[] = [];
  for (const row of decisions) {
    flatDecisions.push(
      row.id,
      row.project_id,
      row.create_time,
      row.effect,
      row.principal_id,
      row.upstream_id,
      row.tool,
      row.body,
    );
  }
  const flatOutcomes: (string | number | null)[] = [];
  for (const row of outcomes) {
    flatOutcomes.push(row.decision_id, row.end_time, row.status, row.latency_micros, row.response_bytes);
  }
  return { decisions: flatDecisions, outcomes: flatOutcomes, ...(states !== undefined && encodeStates(states)) };
}

function encodeStates({ states, times }: StateChanges): Required<Pick<FlatBatch, 'states' | 'times'>> {
  const flatStates: (string | number)[] = [];
  for (const row of states) {
    flatStates.push(row.key, row.project_id, row.value, row.time, row.updates, row.expire_time);
  }
  const flatTimes: (string | number)[] = [];
  for (const row of times) {
    flatTimes.push(row.key, row.update_number, row.time, row.expire_time);
  }
  return { states: flatStates, times: flatTimes };
}

/** The batch that was flattened. */
export function decodeBatch({ decisions, outcomes, states, times = [] }: FlatBatch): LogBatch {
  return {
    decisions: rowsOf(decisions, DECISION_WIDTH, decodeDecision),
    outcomes: rowsOf(outcomes, OUTCOME_WIDTH, decodeOutcome),
    ...(states !== undefined && {
      states: { states: rowsOf(states, STATE_WIDTH, decodeState), times: rowsOf(times, TIME_WIDTH, decodeTime) },
    }),
  };
}

function rowsOf<Row>(flat: FlatRows, width: number, decode: (flat: FlatRows, at: number) => Row): Row[] {
  return Array.from({ length: flat.length / width }, (_, index) => decode(flat, index * width));
}

// The types of the values are those that encodeBatch put at these places.
function decodeDecision(flat: FlatRows, at: number): DecisionRow {
  return {
    id: flat[at] as string,
    project_id: flat[at + 1] as string,
    create_time: flat[at + 2] as number,
    effect: flat[at + 3] as DecisionRow['effect'],
    principal_id: flat[at + 4] as string,
    upstream_id: flat[at + 5] as string | null,
    tool: flat[at + 6] as string | null,
    body: flat[at + 7] as string,
  };
}

function decodeOutcome(flat: FlatRows, at: number): OutcomeRow {
  return {
    decision_id: flat[at] as string,
    end_time: flat[at + 1] as number,
    status: flat[at + 2] as string,
    latency_micros: flat[at + 3] as number,
    response_bytes: flat[at + 4] as number,
  };
}

function decodeState(flat: FlatRows, at: number): StateRow {
  return {
    key: flat[at] as string,
    project_id: flat[at + 1] as string,
    value: flat[at + 2] as number,
    time: flat[at + 3] as number,
    updates: flat[at + 4] as number,
    expire_time: flat[at + 5] as number,
  };
}

function decodeTime(flat: FlatRows, at: number): StateTimeRow {
  return {
    key: flat[at] as string,
    update_number: flat[at + 1] as number,
    time: flat[at + 2] as number,
    expire_time: flat[at + 3] as number,
  };
}
