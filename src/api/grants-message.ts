import { create } from '@bufbuild/protobuf';
import { type Grants as GrantsMessage, GrantsSchema } from '../../gen/portcullis/v1/api_key_pb.ts';
import type { ApiKeyRecord } from '../db/api-keys.ts';
import type { GatewayId, UpstreamId } from '../domain/ids.ts';

/** What a credential may reach, of a principal or of a key. */
interface Granted {
  readonly grants: 'all' | Iterable<UpstreamId>;
  readonly gatewayGrants?: Iterable<GatewayId>;
}

/** The grants as the API shows them. */
export function toGrantsMessage({ grants, gatewayGrants = [] }: Granted): GrantsMessage {
  return create(
    GrantsSchema,
    grants === 'all' ? { allUpstreams: true } : { upstreamIds: [...grants], gatewayIds: [...gatewayGrants] },
  );
}

/** The grants of a request; whether the ids name upstreams and gateways of the project is not checked here. */
export function fromGrantsMessage(message: GrantsMessage): Required<Pick<ApiKeyRecord, 'grants' | 'gatewayGrants'>> {
  const { allUpstreams, upstreamIds, gatewayIds } = message;
  // Checked against the store before use.
  return allUpstreams
    ? { grants: 'all', gatewayGrants: [] }
    : { grants: upstreamIds as UpstreamId[], gatewayGrants: gatewayIds as GatewayId[] };
}
