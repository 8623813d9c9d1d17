import type { Viewer } from '../../catalogue/offer.ts';
import type { JsonObject } from '../../domain/json.ts';
import type { Principal } from '../../domain/principal.ts';
import type { Era } from '../../domain/upstream.ts';
import { isObject, metaOf } from '../../upstream/message.ts';
import { CAPABILITIES_KEY } from '../envelope.ts';
import type { McpPost, McpRequest } from '../exchange.ts';
import { InvalidMessageError } from '../json-rpc.ts';

/** Longest JSON of a client's capabilities: they tell viewers apart, and what is kept for each is kept by them. */
const MAX_CAPABILITIES = 16 * 1024;

/**
 * On whose behalf upstreams are asked for this message.
 *
 * @throws InvalidMessageError when it declares more than anybody could
 */
export function viewerOf({ principal, era, message, session }: McpPost): Viewer {
  const params = message.params ?? {};
  if (era === 'modern') {
    const declared = metaOf(params)[CAPABILITIES_KEY];
    if (message.text.length > MAX_CAPABILITIES && JSON.stringify(declared).length > MAX_CAPABILITIES) {
      throw new InvalidMessageError(-32602, `'${CAPABILITIES_KEY}' is longer than ${MAX_CAPABILITIES} characters`);
    }
    return viewer(principal, era, declared);
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
