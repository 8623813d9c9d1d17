import { create } from '@bufbuild/protobuf';
import { durationFromMs, timestampFromMs } from '@bufbuild/protobuf/wkt';
import {
  type Decision as DecisionMessage,
  DecisionSchema,
  Face,
  type Outcome as OutcomeMessage,
  OutcomeSchema,
  DecisionReason as ReasonMessage,
  OutcomeStatus as StatusMessage,
} from '../../gen/portcullis/v1/decision_pb.ts';
import type { DecisionReason, LoggedDecision, Outcome, OutcomeStatus } from '../domain/decision.ts';
import { toPrincipalKindMessage } from './caller-message.ts';
import { toEffectMessage } from './policy-message.ts';
import { present } from './present.ts';
import { toEraMessage } from './upstream-message.ts';

const REASONS: Readonly<Record<DecisionReason, ReasonMessage>> = {
  rule: ReasonMessage.RULE,
  project_default: ReasonMessage.PROJECT_DEFAULT,
  not_governed: ReasonMessage.NOT_GOVERNED,
  scope: ReasonMessage.SCOPE,
  upstream_not_found: ReasonMessage.UPSTREAM_NOT_FOUND,
  upstream_disabled: ReasonMessage.UPSTREAM_DISABLED,
  grant: ReasonMessage.GRANT,
  tool_filter: ReasonMessage.TOOL_FILTER,
  era_mismatch: ReasonMessage.ERA_MISMATCH,
};

const STATUSES: Readonly<Record<OutcomeStatus, StatusMessage>> = {
  ok: StatusMessage.OK,
  tool_error: StatusMessage.TOOL_ERROR,
  rpc_error: StatusMessage.RPC_ERROR,
  input_required: StatusMessage.INPUT_REQUIRED,
  upstream_error: StatusMessage.UPSTREAM_ERROR,
  timeout: StatusMessage.TIMEOUT,
  canceled: StatusMessage.CANCELED,
};

/** The decision as the API shows it, with what is known of its outcome. */
export function toDecisionMessage({ decision, outcome }: Omit<LoggedDecision, 'position'>): DecisionMessage {
  return create(DecisionSchema, {
    id: decision.id,
    projectId: decision.projectId,
    createTime: timestampFromMs(decision.createTime),
    requestId: decision.requestId,
    face: decision.face === 'mcp' ? Face.MCP : Face.API,
    era: toEraMessage(decision.era),
    principal: {
      kind: toPrincipalKindMessage(decision.principalKind),
      id: decision.principalId,
      name: decision.principalName,
      apiKeyId: decision.apiKeyId ?? '',
      keyPrefix: decision.keyPrefix ?? '',
    },
    upstreamId: decision.upstreamId ?? '',
    upstreamSlug: decision.upstreamSlug,
    method: decision.method,
    tool: decision.tool ?? '',
    effect: toEffectMessage(decision.effect),
    reason: REASONS[decision.reason],
    ruleIds: [...decision.ruleIds],
    message: decision.message,
    argumentsDigest: decision.argumentsDigest ?? '',
    argumentsJson: decision.argumentsJson ?? '',
    argumentsRedacted: decision.argumentsRedacted ?? false,
    requestBytes: BigInt(decision.requestBytes),
    ...present({ outcome: decision.effect === 'allow' ? toOutcomeMessage(outcome) : undefined }),
  });
}

function toOutcomeMessage(outcome: Outcome | undefined): OutcomeMessage {
  if (outcome === undefined) {
    return create(OutcomeSchema, { status: StatusMessage.UNKNOWN });
  }
  return create(OutcomeSchema, {
    status: STATUSES[outcome.status],
    endTime: timestampFromMs(outcome.endTime),
    latency: durationFromMicros(outcome.latencyMicros),
    responseBytes: BigInt(outcome.responseBytes),
  });
}

function durationFromMicros(micros: number) {
  const duration = durationFromMs(Math.floor(micros / 1_000_000) * 1000);
  return { ...duration, nanos: (micros % 1_000_000) * 1000 };
}
