import type { DecisionRow, LoggedRow, OutcomeRow } from '../db/log-store.ts';
import type { Decision, LoggedDecision, Outcome } from '../domain/decision.ts';
import type { CallId, PrincipalId, ProjectId, UpstreamId } from '../domain/ids.ts';

type ColumnField = 'id' | 'projectId' | 'createTime' | 'effect' | 'principalId' | 'upstreamId' | 'tool';
type Body = Omit<Decision, ColumnField>;

/** The row of a decision: what lists filter by as columns, the rest as one JSON text. */
export function toRow(decision: Decision): DecisionRow {
  const { id, projectId, createTime, effect, principalId, upstreamId, tool, ...body } = decision;
  return {
    id,
    project_id: projectId,
    create_time: createTime,
    effect,
    principal_id: principalId,
    upstream_id: upstreamId ?? null,
    tool: tool ?? null,
    body: JSON.stringify(body satisfies Body),
  };
}

/** The row of an outcome. */
export function toOutcomeRow(outcome: Outcome): OutcomeRow {
  return {
    decision_id: outcome.decisionId,
    end_time: outcome.endTime,
    status: outcome.status,
    latency_micros: outcome.latencyMicros,
    response_bytes: outcome.responseBytes,
  };
}

/** A decision as it was written, with its outcome if that has arrived. */
export function fromRow({ decision: row, outcome, position }: LoggedRow): LoggedDecision {
  const decision: Decision = {
    ...(JSON.parse(row.body) as Body),
    id: row.id as CallId,
    projectId: row.project_id as ProjectId,
    createTime: row.create_time,
    effect: row.effect,
    principalId: row.principal_id as PrincipalId,
    ...(row.upstream_id === null ? {} : { upstreamId: row.upstream_id as UpstreamId }),
    ...(row.tool === null ? {} : { tool: row.tool }),
  };
  return outcome === undefined ? { decision, position } : { decision, outcome: fromOutcomeRow(outcome), position };
}

function fromOutcomeRow(row: OutcomeRow): Outcome {
  return {
    decisionId: row.decision_id as CallId,
    endTime: row.end_time,
    status: row.status as Outcome['status'],
    latencyMicros: row.latency_micros,
    responseBytes: row.response_bytes,
  };
}
