import { create } from '@bufbuild/protobuf';
import { type Grants as GrantsMessage, GrantsSchema } from '../../gen/portcullis/v1/api_key_pb.ts';
import type { UpstreamId } from '../domain/ids.ts';

/** The grants as the API shows them. */
export function toGrantsMessage(grants: 'all' | Iterable<UpstreamId>): GrantsMessage {
  return create(GrantsSchema, grants === 'all' ? { allUpstreams: true } : { upstreamIds: [...grants] });
}

/** The grants of a request; whether the ids name upstreams of the project is not checked here. */
export function fromGrantsMessage(message: GrantsMessage): 'all' | UpstreamId[] {
  return message.allUpstreams ? 'all' : (message.upstreamIds as UpstreamId[]); // checked against the store before use
}
