import type { Viewer } from '../../catalogue/offer.ts';
import type { JsonObject } from '../../domain/json.ts';
import type { Principal } from '../../domain/principal.ts';
import type { Era } from '../../domain/upstream.ts';
import { isObject, metaOf } from '../../upstream/message.ts';
import { CAPABILITIES_KEY } from '../envelope.ts';
import type { McpPost, McpRequest } from '../exchange.ts';

/** On whose behalf upstreams are asked for this message. */
export function viewerOf({ principal, era, message, session }: McpPost): Viewer {
  const params = message.params ?? {};
  if (era === 'modern') {
    return viewer(principal, era, metaOf(params)[CAPABILITIES_KEY]);
  }
  return viewer(
    principal,
    era,
    (message.method === 'initialize' ? params : session?.initializeParams)?.['capabilities'],
  );
}

/** On whose behalf upstreams are asked for the stream of a legacy session. */
export function sessionViewer({ principal, session }: Pick<McpRequest, 'principal' | 'session'>): Viewer {
  return viewer(principal, 'legacy', session?.initializeParams?.['capabilities']);
}

function viewer(principal: Principal, era: Era, declared: unknown): Viewer {
  return { principal, era, capabilities: isObject(declared) ? declared : NOTHING };
}

/** One object, so that equal viewers are easily seen to be equal. */
const NOTHING: JsonObject = {};
