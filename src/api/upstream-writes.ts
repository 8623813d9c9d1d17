import { durationMs } from '@bufbuild/protobuf/wkt';
import type { ToolFilter as ToolFilterMessage, UpstreamTransport } from '../../gen/portcullis/v1/upstream_pb.ts';
import {
  type CreateUpstreamRequest,
  CreateUpstreamRequestSchema,
  CreateUpstreamResponseSchema,
  type DeleteUpstreamRequest,
  type UpdateUpstreamRequest,
} from '../../gen/portcullis/v1/upstream_service_pb.ts';
import { deleteUpstream, insertUpstream, updateUpstream } from '../db/upstreams.ts';
import { newId, type UpstreamId } from '../domain/ids.ts';
import type { Principal } from '../domain/principal.ts';
import { DEFAULT_VERSION } from '../domain/target.ts';
import type { ToolFilter, Transport, Upstream, UpstreamSecrets } from '../domain/upstream.ts';
import { writeConfig } from './config-write.ts';
import type { ApiDeps } from './deps.ts';
import { checkEtag, requireWritten } from './etag.ts';
import { requireFullGrants } from './full-grants.ts';
import { present } from './present.ts';
import { runOnce } from './repeatable.ts';
import { targetProjectId } from './target-project.ts';
import { fromTransportMessage } from './transport-message.ts';
import { getGrantedUpstream } from './upstream-access.ts';
import { fromCommitMessage, fromEraMessage, toUpstreamMessage } from './upstream-message.ts';
import { findViolations } from './upstream-rules.ts';
import { isOtherDestination, type MergedSecrets, mergeSecrets, type OpenedSecrets } from './upstream-secrets.ts';
import { createValidationError } from './validation.ts';

export interface UpstreamWriteDeps extends ApiDeps {
  /** Commands that STDIO upstreams may run, by exact text. */
  readonly stdioCommands: readonly string[];
}

const DEFAULT_TIMEOUT_MS = 60_000;
const PURPOSE = 'upstream';

/** Adds an upstream. Throws `validation_failed`, or `already_exists` when the slug is taken. */
export async function createUpstream(deps: UpstreamWriteDeps, caller: Principal, request: CreateUpstreamRequest) {
  const projectId = await targetProjectId(deps, caller, request.project);
  requireFullGrants(caller, 'create one');
  const transport = readTransport(deps, request.transport);
  const sealed = await sealSecrets(deps, transport, mergeSecrets(request));
  return runOnce(deps, {
    caller,
    projectId,
    request,
    schemas: { request: CreateUpstreamRequestSchema, response: CreateUpstreamResponseSchema },
    async write({ trx, changed, now }) {
      const upstream: Upstream = {
        id: newId<UpstreamId>(now),
        projectId,
        slug: request.slug,
        version: request.version || DEFAULT_VERSION,
        displayName: request.displayName,
        description: request.description,
        transport,
        ...sealed,
        toolFilter: fromToolFilter(request.toolFilter) ?? { allowedTools: [], deniedTools: [] },
        ...present({ era: fromEraMessage(request.era) ?? undefined }),
        decisionCommit: fromCommitMessage(request.decisionCommit) ?? 'before_forward',
        timeoutMs: request.timeout === undefined ? DEFAULT_TIMEOUT_MS : durationMs(request.timeout),
        enabled: request.enabled ?? true,
        revision: 1,
        createTime: now,
        updateTime: now,
      };
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

/** Deletes an upstream. Throws `etag_mismatch`. */
export async function removeUpstream(deps: UpstreamWriteDeps, caller: Principal, request: DeleteUpstreamRequest) {
  const projectId = await targetProjectId(deps, caller, request.project);
  await writeConfig(deps.store, async ({ trx, changed }) => {
    const old = await getGrantedUpstream(trx, caller, projectId, request.upstream);
    checkEtag('upstream', old, request.etag);
    await deleteUpstream(trx, old.id);
    changed('upstream', old.id);
  });
  return {};
}

type SealedSecrets = Pick<Upstream, 'auth' | 'sealedSecrets' | 'headerNames' | 'envNames'>;

async function changeDestination(
  deps: UpstreamWriteDeps,
  old: Upstream,
  request: UpdateUpstreamRequest,
): Promise<Partial<SealedSecrets & Pick<Upstream, 'transport'>>> {
  const { transport: message, auth, headers, env } = request;
  if (message === undefined && auth === undefined && headers === undefined && env === undefined) {
    return {};
  }
  const transport = message === undefined ? old.transport : readTransport(deps, message);
  const stored = await openSecrets(deps, old);
  const merged = mergeSecrets({ auth, headers: headers?.headers, env: env?.env }, stored);
  if (merged.kept.length > 0 && isOtherDestination(old.transport, transport)) {
    const description = 'must be given again or removed: stored secrets do not follow to another destination';
    throw createValidationError(merged.kept.map((field) => ({ field, description })));
  }
  return { transport, ...(await sealSecrets(deps, transport, merged)) };
}

function readTransport(deps: UpstreamWriteDeps, message: UpstreamTransport | undefined): Transport {
  if (message === undefined) {
    throw createValidationError([{ field: 'transport', description: 'must be set' }]);
  }
  return fromTransportMessage(message, deps.stdioCommands);
}

async function openSecrets(deps: UpstreamWriteDeps, { auth, sealedSecrets }: Upstream): Promise<OpenedSecrets> {
  const text = sealedSecrets === '' ? '{}' : await deps.box.open(PURPOSE, sealedSecrets);
  return { auth, secrets: JSON.parse(text) as UpstreamSecrets }; // the text that sealSecrets wrote
}

async function sealSecrets(
  deps: UpstreamWriteDeps,
  transport: Transport,
  merged: MergedSecrets,
): Promise<SealedSecrets> {
  const violations = findViolations(transport, merged);
  if (violations.length > 0) {
    throw createValidationError(violations);
  }
  const { auth, secrets } = merged;
  const headerNames = Object.keys(secrets.headers ?? {});
  const envNames = Object.keys(secrets.env ?? {});
  const none = auth.kind === 'none' && headerNames.length === 0 && envNames.length === 0;
  const sealedSecrets = none ? '' : await deps.box.seal(PURPOSE, JSON.stringify(secrets));
  return { auth, sealedSecrets, headerNames, envNames };
}

function fromToolFilter(message: ToolFilterMessage | undefined): ToolFilter | undefined {
  return message && { allowedTools: message.allowedTools, deniedTools: message.deniedTools };
}
