import { create } from '@bufbuild/protobuf';
import { durationFromMs, timestampFromMs } from '@bufbuild/protobuf/wkt';
import {
  ConstraintFailureSchema,
  type Decision as DecisionMessage,
  DecisionSchema,
  Face,
  type ConstraintFailure as FailureMessage,
  type Outcome as OutcomeMessage,
  OutcomeSchema,
  type PolicyVersionRef as PolicyRefMessage,
  PolicyVersionRefSchema,
  DecisionReason as ReasonMessage,
  type ShadowResult as ShadowMessage,
  ShadowResultSchema,
  OutcomeStatus as StatusMessage,
} from '../../gen/portcullis/v1/decision_pb.ts';
import type {
  ConstraintFailure,
  Decision,
  DecisionReason,
  LoggedDecision,
  Outcome,
  OutcomeStatus,
  PolicyVersionRef,
  ShadowResult,
} from '../domain/decision.ts';
import { toPrincipalKindMessage } from './caller-message.ts';
import { toEffectMessage } from './effect-message.ts';
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
  approval: ReasonMessage.APPROVAL,
  agent_inactive: ReasonMessage.AGENT_INACTIVE,
  approvals_exhausted: ReasonMessage.APPROVALS_EXHAUSTED,
  not_offered: ReasonMessage.NOT_OFFERED,
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
    upstreamVersion: decision.upstreamVersion ?? '',
    gatewayId: decision.gatewayId ?? '',
    gatewaySlug: decision.gatewaySlug ?? '',
    method: decision.method,
    tool: decision.tool ?? '',
    effect: toEffectMessage(decision.effect),
    reason: toReasonMessage(decision.reason),
    ruleIds: [...decision.ruleIds],
    message: decision.message,
    argumentsDigest: decision.argumentsDigest ?? '',
    argumentsJson: decision.argumentsJson ?? '',
    argumentsRedacted: decision.argumentsRedacted ?? false,
    requestBytes: BigInt(decision.requestBytes),
    policies: decision.policies?.map(toPolicyRefMessage) ?? [],
    failures: decision.failures?.map(toFailureMessage) ?? [],
    shadowResults: decision.shadow?.map(toShadowMessage) ?? [],
    approvalId: decision.approvalId ?? '',
    session: decision.session ?? '',
    ...present({ outcome: isForwarded(decision) ? toOutcomeMessage(outcome) : undefined }),
  });
}

/** The reason as the API shows it. */
export function toReasonMessage(reason: DecisionReason): ReasonMessage {
  return REASONS[reason];
}

/** The failed check as the API shows it. */
export function toFailureMessage({ ruleId, path, check, expected, actual }: ConstraintFailure): FailureMessage {
  return create(ConstraintFailureSchema, { ruleId, path, check, expected, actual });
}

/** Calls that ToolService.Authorize allowed are made elsewhere: their decisions name no upstream's id. */
function isForwarded({ effect, upstreamId }: Decision): boolean {
  return effect === 'allow' && upstreamId !== undefined;
}

function toPolicyRefMessage({ id, slug, version }: PolicyVersionRef): PolicyRefMessage {
  return create(PolicyVersionRefSchema, { policyId: id, slug, version });
}

function toShadowMessage({ policy, effect, ruleIds, message, failures }: ShadowResult): ShadowMessage {
  return create(ShadowResultSchema, {
    policy: toPolicyRefMessage(policy),
    effect: toEffectMessage(effect),
    ruleIds: [...ruleIds],
    message,
    failures: failures.map(toFailureMessage),
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
