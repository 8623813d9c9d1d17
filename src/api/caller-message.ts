import { create } from '@bufbuild/protobuf';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { PrincipalKind } from '../../gen/portcullis/v1/principal_kind_pb.ts';
import { type Caller, CallerSchema } from '../../gen/portcullis/v1/principal_pb.ts';
import type { Principal } from '../domain/principal.ts';
import { toGrantsMessage } from './grants-message.ts';
import { toScopeMessages } from './scope-message.ts';

const KINDS: Readonly<Record<Principal['kind'], PrincipalKind>> = {
  user: PrincipalKind.USER,
  agent: PrincipalKind.AGENT,
};

/** The kind of a principal as the API shows it. */
export function toPrincipalKindMessage(kind: Principal['kind']): PrincipalKind {
  return KINDS[kind];
}

/** The principal of a request as GetCaller shows it. */
export function toCallerMessage(principal: Principal): Caller {
  return create(CallerSchema, {
    kind: toPrincipalKindMessage(principal.kind),
    id: principal.id,
    name: principal.name,
    projectId: principal.projectId,
    scopes: toScopeMessages(principal.scopes),
    grants: toGrantsMessage(principal),
    apiKeyId: principal.apiKeyId ?? '',
    keyPrefix: principal.keyPrefix ?? '',
    ...(principal.expireTime === undefined ? {} : { expireTime: timestampFromMs(principal.expireTime) }),
  });
}
