import { Scope as ScopeMessage } from '../../gen/portcullis/v1/scope_pb.ts';
import { SCOPES, type Scope } from '../domain/principal.ts';

const MESSAGES: Readonly<Record<Scope, ScopeMessage>> = {
  'gateway:read': ScopeMessage.GATEWAY_READ,
  'gateway:write': ScopeMessage.GATEWAY_WRITE,
  'tools:call': ScopeMessage.TOOLS_CALL,
  'approvals:decide': ScopeMessage.APPROVALS_DECIDE,
  admin: ScopeMessage.ADMIN,
};

/** The scopes as the API shows them, in the order of the enum. */
export function toScopeMessages(scopes: Iterable<Scope>): ScopeMessage[] {
  return [...scopes].map((scope) => MESSAGES[scope]).sort((a, b) => a - b);
}

/** The scopes of a request, in the order of {@link SCOPES}; values the schema refuses are left out. */
export function fromScopeMessages(messages: readonly ScopeMessage[]): Scope[] {
  return SCOPES.filter((scope) => messages.includes(MESSAGES[scope]));
}
