import type { ConnectionSharing, Era, Upstream } from '../domain/upstream.ts';
import type { ChannelClient } from './channel.ts';
import { initializeParamsFor } from './gateway-client.ts';
import { isObject } from './message.ts';

/** How an upstream's connections are shared; per principal when it has none to share. */
export function sharingOf(upstream: Upstream): ConnectionSharing {
  return upstream.transport.kind === 'streamable_http' ? 'per_principal' : upstream.transport.sharing;
}

/**
 * Clients with an equal key share a connection: those of one session, of one principal with equal protocol version and
 * capabilities, or all. Modern clients have no session and say their capabilities with each request, so theirs are shared per principal;
 * over streamable HTTP, where nothing of a modern exchange outlives it, by all.
 */
export function channelKey(upstream: Upstream, client: ChannelClient, era: Era): string {
  const sharing = sharingOf(upstream);
  const parts: unknown[] = [upstream.id, upstream.revision, era];
  if (upstream.transport.kind === 'streamable_http' && era === 'modern') {
    return JSON.stringify(parts);
  }
  if (sharing === 'per_session' && era === 'legacy') {
    parts.push('session', client.sessionId, client.principalId);
  } else if (sharing !== 'per_upstream') {
    parts.push('principal', client.principalId);
    if (era === 'legacy') {
      const { protocolVersion, capabilities } = initializeParamsFor(client, sharing);
      parts.push(protocolVersion, sorted(capabilities));
    }
  }
  return JSON.stringify(parts);
}

/** A copy with the keys of all objects in order, so that equal values have equal JSON. */
export function sorted(value: unknown): unknown {
  if (Array.isArray(value)) {
    return value.map(sorted);
  }
  if (!isObject(value)) {
    return value;
  }
  return Object.fromEntries(
    Object.keys(value)
      .sort()
      .map((key) => [key, sorted(value[key])]),
  );
}
