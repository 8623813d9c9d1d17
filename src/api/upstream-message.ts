import { create } from '@bufbuild/protobuf';
import { durationFromMs, timestampFromMs } from '@bufbuild/protobuf/wkt';
import {
  type UpstreamAuth as AuthMessage,
  DecisionCommit as CommitMessage,
  Era as EraMessage,
  UpstreamAuthSchema,
  type Upstream as UpstreamMessage,
  UpstreamSchema,
} from '../../gen/portcullis/v1/upstream_pb.ts';
import type { DecisionCommit, Era, Upstream, UpstreamAuth } from '../domain/upstream.ts';
import { etagOf } from './etag.ts';
import { toGuardrailConfigMessage } from './guardrail-config-message.ts';
import { present } from './present.ts';
import { toTransportMessage } from './transport-message.ts';

/** The upstream as the API shows it, without its secrets. */
export function toUpstreamMessage(upstream: Upstream): UpstreamMessage {
  return create(UpstreamSchema, {
    id: upstream.id,
    projectId: upstream.projectId,
    slug: upstream.slug,
    version: upstream.version,
    displayName: upstream.displayName,
    description: upstream.description,
    transport: toTransportMessage(upstream.transport),
    ...present({
      auth: toAuthMessage(upstream.auth),
      inputGuardrails: upstream.inputGuardrails && toGuardrailConfigMessage(upstream.inputGuardrails),
      outputGuardrails: upstream.outputGuardrails && toGuardrailConfigMessage(upstream.outputGuardrails),
    }),
    headers: upstream.headerNames.map((name) => ({ name })),
    env: upstream.envNames.map((name) => ({ name })),
    toolFilter: {
      allowedTools: [...upstream.toolFilter.allowedTools],
      deniedTools: [...upstream.toolFilter.deniedTools],
    },
    era: upstream.era === undefined ? EraMessage.AUTO : toEraMessage(upstream.era),
    decisionCommit:
      upstream.decisionCommit === 'before_answer' ? CommitMessage.BEFORE_ANSWER : CommitMessage.BEFORE_FORWARD,
    timeout: durationFromMs(upstream.timeoutMs),
    enabled: upstream.enabled,
    templateSlug: upstream.templateSlug ?? '',
    etag: etagOf(upstream),
    createTime: timestampFromMs(upstream.createTime),
    updateTime: timestampFromMs(upstream.updateTime),
  });
}

/** The era as the API shows it. */
export function toEraMessage(era: Era): EraMessage {
  return era === 'modern' ? EraMessage.MODERN : EraMessage.LEGACY;
}

/** The era that a request sets; null = found out by asking, undefined = not set. */
export function fromEraMessage(message: EraMessage | undefined): Era | null | undefined {
  switch (message) {
    case EraMessage.AUTO:
      return null;
    case EraMessage.LEGACY:
      return 'legacy';
    case EraMessage.MODERN:
      return 'modern';
    default:
      return undefined;
  }
}

/** The commit mode of a request; undefined when it is not set. */
export function fromCommitMessage(message: CommitMessage | undefined): DecisionCommit | undefined {
  switch (message) {
    case CommitMessage.BEFORE_FORWARD:
      return 'before_forward';
    case CommitMessage.BEFORE_ANSWER:
      return 'before_answer';
    default:
      return undefined;
  }
}

function toAuthMessage(auth: UpstreamAuth): AuthMessage | undefined {
  switch (auth.kind) {
    case 'none':
      return undefined;
    case 'bearer':
      return create(UpstreamAuthSchema, { value: { case: 'bearer', value: {} } });
    case 'basic':
      return create(UpstreamAuthSchema, { value: { case: 'basic', value: { username: auth.username } } });
  }
}
