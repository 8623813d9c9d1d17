import { create } from '@bufbuild/protobuf';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import type { Kysely } from 'kysely';
import { PolicyVersionSchema, type PolicyVersion as VersionMessage } from '../../gen/portcullis/v1/policy_pb.ts';
import type { Database } from '../db/database.ts';
import { findPolicyVersion, type PolicyVersionRecord } from '../db/policies.ts';
import type { Policy, PolicyContent } from '../domain/policy.ts';
import { toPrincipalKindMessage } from './caller-message.ts';
import { toPolicyContentMessage } from './policy-message.ts';
import { createValidationError } from './validation.ts';

/** An entry of a policy's history as the API shows it. */
export function toPolicyVersionMessage(version: PolicyVersionRecord): VersionMessage {
  return create(PolicyVersionSchema, {
    version: version.version,
    content: toPolicyContentMessage(version.content),
    authorKind: toPrincipalKindMessage(version.author.kind),
    authorId: version.author.id,
    authorName: version.author.name,
    createTime: timestampFromMs(version.createTime),
  });
}

/** What the policy says in the version that a request names. Throws `validation_failed` when there is none. */
export async function getVersionContent(db: Kysely<Database>, policy: Policy, version: number): Promise<PolicyContent> {
  if (version === policy.version) {
    return policy.content;
  }
  const found = await findPolicyVersion(db, policy.id, version);
  if (found === undefined) {
    const description = `must be a version of the policy, from 1 to ${policy.latestVersion}`;
    throw createValidationError([{ field: 'version', description }]);
  }
  return found.content;
}
