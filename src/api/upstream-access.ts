import type { Kysely } from 'kysely';
import type { UpstreamRef } from '../../gen/portcullis/v1/upstream_pb.ts';
import type { Database } from '../db/database.ts';
import { findUpstream, findUpstreamBySlug } from '../db/upstreams.ts';
import type { ProjectId, UpstreamId } from '../domain/ids.ts';
import { isGranted, type Principal } from '../domain/principal.ts';
import type { Upstream } from '../domain/upstream.ts';
import { hidden } from './hidden.ts';

/** The upstream of the project that a request names. Throws `permission_denied` when it does not exist or is not granted. */
export async function getGrantedUpstream(
  db: Kysely<Database>,
  caller: Principal,
  projectId: ProjectId,
  ref: UpstreamRef | undefined,
): Promise<Upstream> {
  const name = nameOf(ref);
  const upstream =
    ref?.value.case === 'slug'
      ? await findUpstreamBySlug(db, projectId, name)
      : await findUpstream(db, name as UpstreamId); // any id; only one of the project is let through
  if (upstream === undefined || upstream.projectId !== projectId || !isGranted(caller, upstream.id)) {
    throw hidden('upstream', name);
  }
  return upstream;
}

/** The slug or id in a reference; the schema demands one. */
export function nameOf(ref: UpstreamRef | undefined): string {
  return ref?.value.value ?? '';
}
