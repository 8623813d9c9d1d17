import type { Kysely } from 'kysely';
import type { GatewayRef } from '../../gen/portcullis/v1/gateway_pb.ts';
import type { Database } from '../db/database.ts';
import { findGateway, findGatewayBySlug, listGatewayVersions } from '../db/gateways.ts';
import type { Gateway } from '../domain/gateway.ts';
import type { GatewayId, ProjectId } from '../domain/ids.ts';
import { isGatewayGranted, type Principal } from '../domain/principal.ts';
import { getReferenced } from './reference.ts';

/** The gateway of the project that a request names, deleted or not. Throws `permission_denied` when it does not exist or is not granted. */
export function getGrantedGateway(
  db: Kysely<Database>,
  caller: Principal,
  projectId: ProjectId,
  ref: GatewayRef | undefined,
): Promise<Gateway> {
  return getReferenced(projectId, ref, {
    kind: 'gateway',
    findById: (id) => findGateway(db, id as GatewayId),
    findBySlug: (slug, version) => findGatewayBySlug(db, projectId, slug, version),
    listVersions: (slug) => listGatewayVersions(db, projectId, slug),
    isVisible: ({ id }) => isGatewayGranted(caller, id),
  });
}
