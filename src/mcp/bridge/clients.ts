import { newId } from '../../domain/ids.ts';
import type { Era } from '../../domain/upstream.ts';
import type { ChannelClient } from '../../upstream/channels.ts';
import { GATEWAY_INFO, LEGACY_VERSION } from '../../upstream/gateway-client.ts';
import { isObject, type JsonObject, metaOf } from '../../upstream/message.ts';
import { CAPABILITIES_KEY, LEGACY_VERSIONS } from '../envelope.ts';
import type { McpPost, McpRequest } from '../exchange.ts';
import { toLegacyCapabilities, toModernCapabilities } from './client-capabilities.ts';
import { CLIENT_INFO_KEY } from './meta-keys.ts';

/** A request whose client is to be known, as an HTTP request or as a message. */
export type ClientRequest = McpRequest & { readonly message?: McpPost['message'] };

/**
 * Who a client is at an upstream that is spoken to in this era. Modern clients have no session: the requests of a principal that can do the
 * same are one client of a legacy upstream, so that they share what is kept for a session there.
 */
export function clientOf(request: ClientRequest, upstreamEra: Era): ChannelClient {
  const { session, principal } = request;
  const principalId = principal.id;
  if (session !== undefined) {
    const initializeParams = withVersion(session.initializeParams ?? {});
    return { principalId, sessionId: session.id, ...(upstreamEra === 'legacy' ? { initializeParams } : {}) };
  }
  const meta = metaOf(request.message?.params ?? {});
  if (upstreamEra === 'modern') {
    return { principalId, sessionId: newId() };
  }
  const capabilities = toLegacyCapabilities(meta[CAPABILITIES_KEY]);
  const clientInfo = isObject(meta[CLIENT_INFO_KEY]) ? meta[CLIENT_INFO_KEY] : GATEWAY_INFO;
  const initializeParams = { protocolVersion: LEGACY_VERSION, capabilities, clientInfo };
  return { principalId, sessionId: `modern ${principalId} ${JSON.stringify(capabilities)}`, initializeParams };
}

function withVersion(initializeParams: JsonObject): JsonObject {
  const { protocolVersion } = initializeParams;
  const isKnown = typeof protocolVersion === 'string' && LEGACY_VERSIONS.includes(protocolVersion);
  return { ...initializeParams, protocolVersion: isKnown ? protocolVersion : LEGACY_VERSION };
}

/** What the client of a request can do, in the words of the era in which it is asked. */
export function capabilitiesOf(request: ClientRequest, askedIn: Era): JsonObject {
  const { session, message } = request;
  const declared =
    session === undefined
      ? metaOf(message?.params ?? {})[CAPABILITIES_KEY]
      : session.initializeParams?.['capabilities'];
  const isOwnEra = (session === undefined) === (askedIn === 'modern');
  if (isOwnEra) {
    return isObject(declared) ? declared : {};
  }
  return askedIn === 'modern' ? toModernCapabilities(declared) : toLegacyCapabilities(declared);
}

/** How the client of a request introduced itself; undefined when it did not. */
export function clientInfoOf({ session, message }: ClientRequest): JsonObject | undefined {
  const info =
    session === undefined ? metaOf(message?.params ?? {})[CLIENT_INFO_KEY] : session.initializeParams?.['clientInfo'];
  return isObject(info) ? info : undefined;
}
