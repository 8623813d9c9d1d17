import packageJson from '../../package.json' with { type: 'json' };
import type { ConnectionSharing } from '../domain/upstream.ts';
import type { ChannelClient } from './channel.ts';
import type { JsonObject } from './message.ts';

/** The revision of the modern era that the gateway speaks as a client of its own. */
export const MODERN_VERSION = '2026-07-28';
/** The newest revision with sessions. */
export const LEGACY_VERSION = '2025-11-25';

/** How the gateway introduces itself to upstreams. */
export const GATEWAY_INFO: JsonObject = { name: 'portcullis', version: packageJson.version };

/** `initialize` parameters of the gateway as a client of its own: it supports nothing that an upstream could ask for. */
export const GATEWAY_INITIALIZE: JsonObject = {
  protocolVersion: LEGACY_VERSION,
  capabilities: {},
  clientInfo: GATEWAY_INFO,
};

/** `_meta` that every modern request of the gateway carries (specification 2026-07-28, basic, section _meta). */
export const MODERN_META: JsonObject = {
  'io.modelcontextprotocol/protocolVersion': MODERN_VERSION,
  'io.modelcontextprotocol/clientInfo': GATEWAY_INFO,
  'io.modelcontextprotocol/clientCapabilities': {},
};

/**
 * What a legacy connection says in `initialize`: the first client's version, capabilities and clientInfo; for a connection that
 * all principals share the gateway's own, so that nobody is asked for what another client declared.
 */
export function initializeParamsFor(client: ChannelClient, sharing: ConnectionSharing): JsonObject {
  if (sharing === 'per_upstream' || client.initializeParams === undefined) {
    return GATEWAY_INITIALIZE;
  }
  const { protocolVersion, capabilities, clientInfo } = client.initializeParams;
  return {
    protocolVersion: protocolVersion ?? LEGACY_VERSION,
    capabilities: capabilities ?? {},
    clientInfo: clientInfo ?? GATEWAY_INFO,
  };
}
