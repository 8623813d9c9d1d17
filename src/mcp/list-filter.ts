import type { Principal } from '../domain/principal.ts';
import type { Upstream } from '../domain/upstream.ts';
import type { Listing } from '../pipeline/listing.ts';
import type { HotConfig } from '../snapshot/hot-config.ts';
import { isObject, type JsonObject } from '../upstream/message.ts';
import type { UpstreamPost, UpstreamRequest } from './exchange.ts';
import type { Rewrite } from './rewrite.ts';

/** Leaves out of an upstream's lists, as they pass through, what the caller could never call, get or read. */
export interface ListFilter {
  /** What the answer to this request must go through; undefined when nothing could be hidden, so that its bytes may pass. */
  rewriteOf(post: UpstreamPost): Rewrite | undefined;
  /** The same for the stream of a legacy session, on which answers come that a client missed. */
  rewriteOfStream(request: UpstreamRequest): Rewrite | undefined;
}

export interface ListFilterDeps {
  readonly config: Pick<HotConfig, 'getPolicies' | 'getProject'>;
  readonly listing: Listing;
}

/** A list in the result of a method, and what its items are for. */
interface FilteredList {
  readonly field: 'tools' | 'prompts' | 'resources';
  readonly id: 'name' | 'uri';
  /** The method that acts on an item. */
  readonly method: string;
}

/** Templates are not among them: what they stand for is known when it is read. */
const FILTERED: ReadonlyMap<string, FilteredList> = new Map([
  ['tools/list', { field: 'tools', id: 'name', method: 'tools/call' }],
  ['prompts/list', { field: 'prompts', id: 'name', method: 'prompts/get' }],
  ['resources/list', { field: 'resources', id: 'uri', method: 'resources/read' }],
]);

/** Makes the filter. */
export function createListFilter({ config, listing }: ListFilterDeps): ListFilter {
  const mayHide = ({ projectId }: Principal, { toolFilter }: Upstream, { field }: FilteredList): boolean => {
    const isFiltered = field === 'tools' && toolFilter.allowedTools.length + toolFilter.deniedTools.length > 0;
    return (
      isFiltered ||
      config.getProject(projectId).defaultEffect === 'deny' ||
      config.getPolicies(projectId).some(({ content }) => content.mode === 'enforce')
    );
  };

  const filter = ({ principal, upstream }: UpstreamRequest, list: FilteredList, result: JsonObject): JsonObject => {
    const { field, id, method } = list;
    const items = result[field];
    if (!Array.isArray(items)) {
      return result;
    }
    const known = items.filter(isObject);
    const visible = listing.visible(principal, known, (item) => ({ upstream, method, tool: String(item[id]) }));
    return visible.length === items.length ? result : { ...result, [field]: visible };
  };

  return {
    rewriteOf(post) {
      const list = FILTERED.get(post.message.method);
      if (list === undefined || !mayHide(post.principal, post.upstream, list)) {
        return undefined;
      }
      return post.era === 'legacy'
        ? (result) => filter(post, list, result)
        : (result) => asPrivate(result, filter(post, list, result));
    },
    rewriteOfStream(request) {
      const lists = [...FILTERED.values()].filter((list) => mayHide(request.principal, request.upstream, list));
      return lists.length === 0
        ? undefined
        : (result) => lists.reduce((seen, list) => filter(request, list, seen), result);
    },
  };
}

/** What another caller may see is not for caches that callers share (specification 2026-07-28, server/utilities/caching). */
function asPrivate(result: JsonObject, filtered: JsonObject): JsonObject {
  const { cacheScope } = result;
  const isFine = cacheScope === 'private' || (cacheScope === undefined && filtered === result);
  return isFine ? filtered : { ...filtered, cacheScope: 'private' };
}
