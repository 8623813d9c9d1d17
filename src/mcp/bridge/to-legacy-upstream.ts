import { isObject, type JsonObject, metaOf, paramsOf } from '../../upstream/message.ts';
import type { RpcError } from '../errors.ts';
import { MODERN_KEYS } from './meta-keys.ts';

/** A modern client's request as a legacy upstream reads it: without what only the modern era knows; other keys of `_meta` stay. */
export function toLegacyRequest(message: JsonObject): JsonObject {
  if (message['params'] === undefined) {
    return message;
  }
  const { _meta, requestState: _state, inputResponses: _responses, ...params } = paramsOf(message);
  const kept = Object.entries(isObject(_meta) ? _meta : {}).filter(([key]) => !MODERN_KEYS.has(key));
  return {
    ...message,
    params: kept.length === 0 ? params : { ...params, _meta: Object.fromEntries(kept) },
  };
}

/** Methods whose results tell for how long they are good (specification 2026-07-28, server/utilities/caching). */
const CACHEABLE: ReadonlySet<string> = new Set([
  'server/discover',
  'tools/list',
  'prompts/list',
  'resources/list',
  'resources/templates/list',
  'resources/read',
]);

/** A legacy upstream's result as a modern client reads it; it is good for this moment and this client only, as the upstream says nothing of it. */
export function fromLegacyResult(method: string, result: JsonObject): JsonObject {
  const complete = { ...result, resultType: 'complete' };
  return CACHEABLE.has(method) ? { ...complete, ttlMs: 0, cacheScope: 'private' } : complete;
}

const NOT_FOUND = -32002;
const URL_ELICITATION_REQUIRED = -32042;
const INVALID_PARAMS = -32602;
const INTERNAL_ERROR = -32603;

/** A legacy upstream's error as a modern client may get it (specification 2026-07-28, basic, section Error Codes). */
export function fromLegacyError(error: unknown): RpcError {
  const { code, message, data } = isObject(error) ? error : {};
  return {
    code: modernCode(Number(code)),
    message: typeof message === 'string' ? message : 'The upstream told no reason.',
    ...(data === undefined ? {} : { data }),
  };
}

function modernCode(code: number): number {
  if (code === NOT_FOUND) {
    return INVALID_PARAMS;
  }
  // What the modern era reserved for itself has a meaning there that the upstream cannot have meant.
  const isReserved = code <= -32020 && code >= -32099;
  return isReserved || !Number.isInteger(code) ? INTERNAL_ERROR : code;
}

/** The pages that a user has to open first, as parameters of `elicitation/create`; undefined for any other error (specification 2025-11-25, client/elicitation, section URL Elicitation Required Error). */
export function urlElicitationsOf(error: unknown): readonly JsonObject[] | undefined {
  if (!isObject(error) || error['code'] !== URL_ELICITATION_REQUIRED || !isObject(error['data'])) {
    return undefined;
  }
  const { elicitations } = error['data'];
  const asked: readonly unknown[] = Array.isArray(elicitations) ? elicitations : [];
  const pages = asked.filter((page) => isObject(page) && typeof page['url'] === 'string').map(withoutId);
  return pages.length === 0 ? undefined : pages;
}

function withoutId(page: unknown): JsonObject {
  // Filtered above: all of them are objects. The modern era has no use for the id.
  const { elicitationId: _id, ...params } = page as JsonObject;
  return { ...params, mode: 'url' };
}

/** A request of a legacy upstream as one of the `inputRequests` of a modern result. */
export function toInputRequest({ method, params }: JsonObject): JsonObject {
  const { elicitationId: _id, task: _task, _meta: meta, ...same } = isObject(params) ? params : {};
  const { progressToken: _token, ...kept } = metaOf({ _meta: meta });
  return {
    method,
    ...(params === undefined ? {} : { params: Object.keys(kept).length === 0 ? same : { ...same, _meta: kept } }),
  };
}
