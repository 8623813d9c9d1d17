import type { DecisionRow, LogBatch, OutcomeRow } from './log-store.ts';

/** What the writing thread is sent: a batch, its rows end to end, as copying flat arrays between threads is cheap; or the order to end. */
export type LogThreadRequest = { readonly decisions: FlatRows; readonly outcomes: FlatRows } | 'close';

/** What it answers to a batch: nothing, or why it is not stored. */
export type LogThreadReply = Error | undefined;

type FlatRows = readonly (string | number | null)[];

const DECISION_WIDTH = 8;
const OUTCOME_WIDTH = 5;

/** Flattens a batch for the way to the thread. */
export function encodeBatch({ decisions, outcomes }: LogBatch): Exclude<LogThreadRequest, 'close'> {
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
  return { decisions: flatDecisions, outcomes: flatOutcomes };
}

/** The batch that was flattened. */
export function decodeBatch(request: Exclude<LogThreadRequest, 'close'>): LogBatch {
  return {
    decisions: rowsOf(request.decisions, DECISION_WIDTH, decodeDecision),
    outcomes: rowsOf(request.outcomes, OUTCOME_WIDTH, decodeOutcome),
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
