import type { Kysely } from 'kysely';
import type { UpstreamRef } from '../../gen/portcullis/v1/upstream_pb.ts';
import type { Database } from '../db/database.ts';
import { findUpstream, findUpstreamBySlug, listUpstreamVersions } from '../db/upstreams.ts';
import type { ProjectId, UpstreamId } from '../domain/ids.ts';
import { isGranted, type Principal } from '../domain/principal.ts';
import type { Upstream } from '../domain/upstream.ts';
import { getReferenced } from './reference.ts';

/** The upstream of the project that a request names. Throws `permission_denied` when it does not exist or is not granted. */
export function getGrantedUpstream(
  db: Kysely<Database>,
  caller: Principal,
  projectId: ProjectId,
  ref: UpstreamRef | undefined,
): Promise<Upstream> {
  return getReferenced(projectId, ref, {
    kind: 'upstream',
    findById: (id) => findUpstream(db, id as UpstreamId),
    findBySlug: (slug, version) => findUpstreamBySlug(db, projectId, slug, version),
    listVersions: (slug) => listUpstreamVersions(db, projectId, slug),
    isVisible: ({ id }) => isGranted(caller, id),
  });
}
