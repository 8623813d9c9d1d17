import type { Upstream } from '../domain/upstream.ts';
import type { OpenConnection } from './connections.ts';
import { GATEWAY_INITIALIZE, MODERN_META, MODERN_VERSION } from './gateway-client.ts';
import { callOverHttp } from './http-call.ts';
import { isObject, type JsonObject } from './message.ts';
import { postNotice } from './post-notice.ts';
import type { StreamableClient } from './streamable.ts';

/** What an upstream answered to `server/discover`. */
export interface Discovery {
  readonly isModern: boolean;
  /** Revisions it named; empty when it is not modern. */
  readonly versions: readonly string[];
  /** False when a proxy may have answered in its place, so that nothing should be concluded from it. */
  readonly isCertain: boolean;
}

export const DISCOVER: JsonObject = {
  jsonrpc: '2.0',
  id: 'discover',
  method: 'server/discover',
  params: { _meta: MODERN_META },
};

/** Headers of a modern request without a name (specification 2026-07-28, basic/transports/streamable-http, section Request Metadata). */
function modernHeaders(method: string): Record<string, string> {
  return { 'mcp-protocol-version': MODERN_VERSION, 'mcp-method': method };
}

const STDIO_TIMEOUT_MS = 5000;
const UNSUPPORTED_VERSION = -32022;

/** Asks a streamable HTTP upstream; throws when it cannot be reached. */
export async function discoverOverHttp(client: StreamableClient, upstream: Upstream): Promise<Discovery> {
  const { status, response } = await callOverHttp(client, upstream, {
    headers: modernHeaders('server/discover'),
    message: DISCOVER,
  });
  return { ...read(response), isCertain: status < 502 || status > 504 };
}

/**
 * Asks a modern streamable HTTP upstream whether it takes sessions too, which `server/discover` need not tell: opens one, and ends it.
 * Throws when it cannot be reached.
 */
export async function takesSessions(client: StreamableClient, upstream: Upstream): Promise<boolean> {
  const message = { jsonrpc: '2.0', id: 0, method: 'initialize', params: GATEWAY_INITIALIZE };
  const { headers, response } = await callOverHttp(client, upstream, { headers: {}, message });
  const sessionId = headers['mcp-session-id'];
  if (typeof sessionId === 'string') {
    const end = { method: 'DELETE', headers: { 'mcp-session-id': sessionId } } as const;
    postNotice(client, upstream, end).catch(() => undefined); // what it says to that does not matter
  }
  const result = response?.['result'];
  const version = isObject(result) ? result['protocolVersion'] : undefined;
  return typeof version === 'string' && !isModern(version);
}

/**
 * Asks a process of its own, since a legacy server may not bear a question before `initialize`. Silence for 5 s means no; throws
 * when the process cannot be started or ends.
 */
export async function discoverOverStdio(openConnection: OpenConnection, upstream: Upstream): Promise<Discovery> {
  const connection = await openConnection(upstream, 'modern');
  const { promise, resolve, reject } = Promise.withResolvers<JsonObject | undefined>();
  const timer = setTimeout(resolve, STDIO_TIMEOUT_MS, undefined);
  connection.onClose(reject);
  connection.onMessage((message) => {
    if (message['id'] === DISCOVER['id'] || message['id'] === null) {
      resolve(message);
    }
  });
  connection.send(DISCOVER).catch(reject);
  try {
    return { ...read(await promise), isCertain: true };
  } finally {
    clearTimeout(timer);
    void connection.close();
  }
}

/** Specification 2026-07-28, basic/versioning: a DiscoverResult, or the refusal of a version that names a modern one. */
function read(response: JsonObject | undefined): Pick<Discovery, 'isModern' | 'versions'> {
  const result = response?.['result'];
  const error = response?.['error'];
  let named: unknown;
  if (isObject(result)) {
    named = result['supportedVersions'];
  } else if (isObject(error) && error['code'] === UNSUPPORTED_VERSION && isObject(error['data'])) {
    named = error['data']['supported'];
  }
  const versions = Array.isArray(named) ? named.filter((version) => typeof version === 'string') : [];
  return versions.some(isModern) ? { isModern: true, versions } : { isModern: false, versions: [] };
}

/** Revisions are dates, so their order is that of their texts. */
export function isModern(version: string): boolean {
  return version >= MODERN_VERSION;
}
