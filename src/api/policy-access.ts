import type { Kysely } from 'kysely';
import type { PolicyRef } from '../../gen/portcullis/v1/policy_pb.ts';
import type { Database } from '../db/database.ts';
import { findPolicy, findPolicyBySlug } from '../db/policies.ts';
import type { PolicyId, ProjectId } from '../domain/ids.ts';
import type { Policy } from '../domain/policy.ts';
import { getReferenced } from './reference.ts';

/** The policy of the project that a request names. Throws `permission_denied` when there is none. */
export function getPolicy(db: Kysely<Database>, projectId: ProjectId, ref: PolicyRef | undefined): Promise<Policy> {
  return getReferenced(projectId, ref, {
    kind: 'policy',
    findById: (id) => findPolicy(db, id as PolicyId),
    findBySlug: (slug) => findPolicyBySlug(db, projectId, slug),
  });
}
