import { type ContextValues, createContextKey, createContextValues } from '@connectrpc/connect';
import { GatewayError } from '../domain/errors.ts';
import type { Principal } from '../domain/principal.ts';
import { requireActive } from './active-agent.ts';

/** What the listener found out about a request before any of its body is read. */
export interface RequestFacts {
  /** The same id as in `X-Request-Id` of the response. */
  readonly requestId: string;
  /** Absent when no valid credential came. */
  readonly caller?: Principal;
  /** Why the credential that came was refused; public methods ignore it. */
  readonly refusal?: GatewayError;
  /** Checks the credential once more, for streams that outlive a revocation; throws as at the beginning. */
  readonly authenticate?: () => Principal | Promise<Principal>;
  /** Address of the client, for limits; empty when not known. */
  readonly clientAddress?: string;
}

const factsKey = createContextKey<RequestFacts>({ requestId: '' }, { description: 'facts of the request' });

/** Context values for the handler, from what the listener knows. */
export function createApiContext(facts: RequestFacts): ContextValues {
  return setRequestFacts(createContextValues(), facts);
}

/** Puts what is known of the request into existing values. */
export function setRequestFacts(values: ContextValues, facts: RequestFacts): ContextValues {
  return values.set(factsKey, facts);
}

/** The facts the listener gave. */
export function getRequestFacts(values: ContextValues): RequestFacts {
  return values.get(factsKey);
}

/** Who makes the request; throws why the credential was refused, or `invalid_api_key` when none came. */
export function getCaller(values: ContextValues): Principal {
  const { caller, refusal } = getRequestFacts(values);
  if (caller !== undefined) {
    return caller;
  }
  const message = 'No credential came with the request. Send an API key or a token as "Authorization: Bearer …".';
  throw refusal ?? new GatewayError('invalid_api_key', message);
}

/** Who makes a request that has been open for a while; throws when the credential is not valid any more. */
export function reauthenticate(values: ContextValues): Principal | Promise<Principal> {
  const { authenticate } = getRequestFacts(values);
  return authenticate === undefined ? getCaller(values) : authenticate();
}

/** Who has a stream open; throws also when it is an agent that is not ACTIVE any more. */
export async function recheckCaller(values: ContextValues): Promise<Principal> {
  const caller = await reauthenticate(values);
  requireActive(caller);
  return caller;
}
