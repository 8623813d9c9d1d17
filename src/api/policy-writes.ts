import { setImmediate } from 'node:timers/promises';
import type { Kysely } from 'kysely';
import type { PolicyContent as PolicyContentMessage } from '../../gen/portcullis/v1/policy_pb.ts';
import {
  type CreatePolicyRequest,
  CreatePolicyRequestSchema,
  CreatePolicyResponseSchema,
  type DeletePolicyRequest,
  type UpdatePolicyRequest,
} from '../../gen/portcullis/v1/policy_service_pb.ts';
import type { Database } from '../db/database.ts';
import { addPolicyVersion, deletePolicy, insertPolicy, listPolicies, updatePolicy } from '../db/policies.ts';
import { GatewayError } from '../domain/errors.ts';
import { newId, type PolicyId, type ProjectId } from '../domain/ids.ts';
import type { Policy, PolicyContent } from '../domain/policy.ts';
import type { Principal } from '../domain/principal.ts';
import { weighPolicy } from '../policy/policy-weight.ts';
import { writeConfig } from './config-write.ts';
import type { ApiDeps } from './deps.ts';
import { checkEtag, requireWritten } from './etag.ts';
import { requireFullGrants } from './full-grants.ts';
import { getPolicy } from './policy-access.ts';
import { type ContentField, requireWorkableAlone, requireWorkableAmong } from './policy-check.ts';
import { fromPolicyContentMessage, toPolicyMessage } from './policy-message.ts';
import { getVersionContent } from './policy-versions.ts';
import { runOnce } from './repeatable.ts';
import { targetProjectId } from './target-project.ts';
import { createValidationError } from './validation.ts';

/** Policies that a project may have. */
const MAX_POLICIES = 1_000;

const ACTION = 'change policies, which decide for all of them';

/** Adds a policy. Throws `validation_failed`, `plan_limit_exceeded`, or `already_exists` when the slug is taken. */
export async function createPolicy(deps: ApiDeps, caller: Principal, request: CreatePolicyRequest) {
  const projectId = await targetProjectId(deps, caller, request.project);
  requireFullGrants(caller, ACTION);
  const content = readContent(request.content);
  requireWorkableAlone('content', content);
  await weighAll(deps, projectId);
  return runOnce(deps, {
    caller,
    projectId,
    request,
    schemas: { request: CreatePolicyRequestSchema, response: CreatePolicyResponseSchema },
    async write({ trx, changed, now }) {
      const others = await listAll(trx, projectId);
      requireRoom(others.length);
      requireWorkableAmong('content', content, others);
      const policy: Policy = {
        id: newId<PolicyId>(now),
        projectId,
        slug: request.slug,
        content,
        version: 1,
        latestVersion: 1,
        revision: 1,
        createTime: now,
        updateTime: now,
      };
      await insertPolicy(trx, policy, authorOf(caller));
      changed('policy', policy.id);
      return { policy: toPolicyMessage(policy) };
    },
  });
}

/** Writes a new version, or puts one in force. Throws `validation_failed` and `etag_mismatch`. */
export async function changePolicy(deps: ApiDeps, caller: Principal, request: UpdatePolicyRequest) {
  const projectId = await targetProjectId(deps, caller, request.project);
  requireFullGrants(caller, ACTION);
  await checkChange(deps, projectId, request);
  const policy = await writeConfig(deps.store, async ({ trx, changed, now }) => {
    const old = await getPolicy(trx, projectId, request.policy);
    checkEtag('policy', old, request.etag);
    const { field, content, columns } = await readChange(trx, old, request.change);
    const others = (await listAll(trx, projectId)).filter(({ id }) => id !== old.id);
    requireWorkableAmong(field, content, others);
    if (columns.latestVersion !== undefined) {
      const version = { version: columns.latestVersion, content, author: authorOf(caller), createTime: now };
      await addPolicyVersion(trx, old.id, version);
    }
    changed('policy', old.id);
    const updated = await updatePolicy(trx, old.id, old.revision, { ...columns, updateTime: now });
    return requireWritten('policy', old.id, updated);
  });
  return { policy: toPolicyMessage(policy) };
}

/** Checks what takes long before the configuration is locked; what a version says never changes. */
async function checkChange(deps: ApiDeps, projectId: ProjectId, request: UpdatePolicyRequest): Promise<void> {
  const { db } = deps.store;
  const { field, content } = await readChange(db, await getPolicy(db, projectId, request.policy), request.change);
  requireWorkableAlone(field, content);
  await weighAll(deps, projectId);
}

/** Deletes a policy with its history. Throws `etag_mismatch`. */
export async function removePolicy(deps: ApiDeps, caller: Principal, request: DeletePolicyRequest) {
  const projectId = await targetProjectId(deps, caller, request.project);
  requireFullGrants(caller, ACTION);
  await writeConfig(deps.store, async ({ trx, changed }) => {
    const old = await getPolicy(trx, projectId, request.policy);
    checkEtag('policy', old, request.etag);
    await deletePolicy(trx, old.id);
    changed('policy', old.id);
  });
  return {};
}

interface PolicyChange {
  /** Where the request has the content, or names it. */
  readonly field: ContentField;
  readonly content: PolicyContent;
  /** What changes of the policy; a new `latestVersion` is the content's. */
  readonly columns: Partial<Pick<Policy, 'content' | 'version' | 'latestVersion'>>;
}

async function readChange(
  db: Kysely<Database>,
  old: Policy,
  { case: field, value }: UpdatePolicyRequest['change'],
): Promise<PolicyChange> {
  const next = old.latestVersion + 1;
  switch (field) {
    case 'content': {
      const content = fromPolicyContentMessage(value);
      return { field, content, columns: { content, version: next, latestVersion: next } };
    }
    case 'draft':
      return { field, content: fromPolicyContentMessage(value), columns: { latestVersion: next } };
    case 'version': {
      const content = await getVersionContent(db, old, value);
      return { field, content, columns: { content, version: value } };
    }
    case undefined:
      throw createValidationError([{ field: 'change', description: 'must be one of content, draft and version' }]);
  }
}

function readContent(message: PolicyContentMessage | undefined): PolicyContent {
  if (message === undefined) {
    throw createValidationError([{ field: 'content', description: 'must be set' }]);
  }
  return fromPolicyContentMessage(message);
}

function listAll(db: Kysely<Database>, projectId: ProjectId): Promise<Policy[]> {
  return listPolicies(db, { projectId, limit: MAX_POLICIES });
}

/** Weighs the policies there are, which is remembered: the first time it may take seconds. */
async function weighAll({ store }: ApiDeps, projectId: ProjectId): Promise<void> {
  for (const policy of await listAll(store.db, projectId)) {
    weighPolicy(policy);
    await setImmediate();
  }
}

function requireRoom(count: number): void {
  if (count >= MAX_POLICIES) {
    const message = `The project has ${MAX_POLICIES} policies, which is the most it may have. Delete one, or put its rules into another.`;
    throw new GatewayError('plan_limit_exceeded', message, { metadata: { limit: String(MAX_POLICIES) } });
  }
}

function authorOf({ kind, id, name }: Principal) {
  return { kind, id, name };
}
