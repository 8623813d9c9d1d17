import { durationMs } from '@bufbuild/protobuf/wkt';
import type { GuardrailConfig as GuardrailConfigMessage } from '../../gen/portcullis/v1/guardrail_config_pb.ts';
import type { ToolFilter as ToolFilterMessage } from '../../gen/portcullis/v1/upstream_pb.ts';
import {
  type CreateUpstreamRequest,
  CreateUpstreamRequestSchema,
  CreateUpstreamResponseSchema,
  type DeleteUpstreamRequest,
  type UpdateUpstreamRequest,
} from '../../gen/portcullis/v1/upstream_service_pb.ts';
import { deleteUpstream, insertUpstream, updateUpstream } from '../db/upstreams.ts';
import type { GuardrailConfig } from '../domain/guardrail-config.ts';
import { newId, type UpstreamId } from '../domain/ids.ts';
import type { Principal } from '../domain/principal.ts';
import { DEFAULT_VERSION } from '../domain/target.ts';
import type { ToolFilter, Upstream } from '../domain/upstream.ts';
import { writeConfig } from './config-write.ts';
import type { ApiDeps } from './deps.ts';
import { checkEtag, requireWritten } from './etag.ts';
import { requireFullGrants } from './full-grants.ts';
import { requireFreeAddress, requireUncomposed } from './gateway-references.ts';
import { findUnfitGuardrails, fromGuardrailConfigMessage, isEmptyGuardrailConfig } from './guardrail-config-message.ts';
import { present } from './present.ts';
import { runOnce } from './repeatable.ts';
import type { ShippedTemplates } from './shipped-templates.ts';
import { targetProjectId } from './target-project.ts';
import { getGrantedUpstream } from './upstream-access.ts';
import { changeDestination, type DestinationDeps, draftDestination } from './upstream-destination.ts';
import { fillFromTemplate } from './upstream-from-template.ts';
import { fromCommitMessage, fromEraMessage, toUpstreamMessage } from './upstream-message.ts';
import { createValidationError } from './validation.ts';

export interface UpstreamWriteDeps extends ApiDeps, DestinationDeps {
  readonly shippedTemplates: () => ShippedTemplates;
}

const DEFAULT_TIMEOUT_MS = 60_000;

/** Adds an upstream. Throws `validation_failed`, or `already_exists` when the slug and version are taken. */
export async function createUpstream(deps: UpstreamWriteDeps, caller: Principal, request: CreateUpstreamRequest) {
  const projectId = await targetProjectId(deps, caller, request.project);
  requireFullGrants(caller, 'create one');
  const { inputGuardrails, outputGuardrails } = readGuardrails(request);
  return runOnce(deps, {
    caller,
    projectId,
    request,
    schemas: { request: CreateUpstreamRequestSchema, response: CreateUpstreamResponseSchema },
    async write({ trx, changed, now }) {
      const { templateSlug, ...filled } = await fillFromTemplate(deps, trx, projectId, request);
      const upstream: Upstream = {
        id: newId<UpstreamId>(now),
        projectId,
        slug: request.slug,
        version: request.version || DEFAULT_VERSION,
        displayName: request.displayName,
        description: request.description,
        ...(await draftDestination(deps, { ...present({ auth: request.auth }), ...filled })),
        toolFilter: fromToolFilter(request.toolFilter) ?? { allowedTools: [], deniedTools: [] },
        ...present({
          templateSlug,
          inputGuardrails: inputGuardrails ?? undefined,
          outputGuardrails: outputGuardrails ?? undefined,
          era: fromEraMessage(request.era) ?? undefined,
        }),
        decisionCommit: fromCommitMessage(request.decisionCommit) ?? 'before_forward',
        timeoutMs: request.timeout === undefined ? DEFAULT_TIMEOUT_MS : durationMs(request.timeout),
        enabled: request.enabled ?? true,
        revision: 1,
        createTime: now,
        updateTime: now,
      };
      await requireFreeAddress(trx, projectId, upstream.slug, upstream.version);
      await insertUpstream(trx, upstream);
      changed('upstream', upstream.id);
      return { upstream: toUpstreamMessage(upstream) };
    },
  });
}

/** Changes what the request sets. Throws `etag_mismatch`, or `validation_failed` for what does not fit together. */
export async function changeUpstream(deps: UpstreamWriteDeps, caller: Principal, request: UpdateUpstreamRequest) {
  const projectId = await targetProjectId(deps, caller, request.project);
  const upstream = await writeConfig(deps.store, async ({ trx, changed, now }) => {
    const old = await getGrantedUpstream(trx, caller, projectId, request.upstream);
    checkEtag('upstream', old, request.etag);
    const changes = present({
      displayName: request.displayName,
      description: request.description,
      ...(await changeDestination(deps, old, request)),
      toolFilter: fromToolFilter(request.toolFilter),
      ...readGuardrails(request),
      era: fromEraMessage(request.era),
      decisionCommit: fromCommitMessage(request.decisionCommit),
      timeoutMs: request.timeout && durationMs(request.timeout),
      enabled: request.enabled,
    });
    changed('upstream', old.id);
    const updated = await updateUpstream(trx, old.id, old.revision, { ...changes, updateTime: now });
    return requireWritten('upstream', old.id, updated);
  });
  return { upstream: toUpstreamMessage(upstream) };
}

/** Deletes an upstream. Throws `etag_mismatch`, and `failed_precondition` while an active gateway is composed of it. */
export async function removeUpstream(deps: UpstreamWriteDeps, caller: Principal, request: DeleteUpstreamRequest) {
  const projectId = await targetProjectId(deps, caller, request.project);
  await writeConfig(deps.store, async ({ trx, changed }) => {
    const old = await getGrantedUpstream(trx, caller, projectId, request.upstream);
    checkEtag('upstream', old, request.etag);
    await requireUncomposed(trx, caller, old);
    await deleteUpstream(trx, old.id);
    changed('upstream', old.id);
  });
  return {};
}

interface GuardrailChanges {
  readonly inputGuardrails: GuardrailConfig | null | undefined;
  readonly outputGuardrails: GuardrailConfig | null | undefined;
}

/** The guardrails that a request sets; null = none, undefined = it does not say. */
function readGuardrails(
  request: Pick<CreateUpstreamRequest, 'inputGuardrails' | 'outputGuardrails'>,
): GuardrailChanges {
  const { inputGuardrails, outputGuardrails } = request;
  const violations = [
    ...findUnfitGuardrails('input_guardrails', inputGuardrails),
    ...findUnfitGuardrails('output_guardrails', outputGuardrails),
  ];
  if (violations.length > 0) {
    throw createValidationError(violations);
  }
  return { inputGuardrails: toChange(inputGuardrails), outputGuardrails: toChange(outputGuardrails) };
}

function toChange(message: GuardrailConfigMessage | undefined): GuardrailConfig | null | undefined {
  const config = message && fromGuardrailConfigMessage(message);
  return config && isEmptyGuardrailConfig(config) ? null : config;
}

function fromToolFilter(message: ToolFilterMessage | undefined): ToolFilter | undefined {
  return message && { allowedTools: message.allowedTools, deniedTools: message.deniedTools };
}
