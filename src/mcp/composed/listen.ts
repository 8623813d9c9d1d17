import { setImmediate } from 'node:timers/promises';
import type { Composition } from '../../catalogue/composition.ts';
import { LIST_NAMES, type ListName } from '../../catalogue/list-kinds.ts';
import { newId } from '../../domain/ids.ts';
import type { JsonObject } from '../../domain/json.ts';
import type { Listing } from '../../pipeline/listing.ts';
import { SUBSCRIPTION_KEY } from '../../upstream/in-flight.ts';
import { isObject, paramsOf, withMeta } from '../../upstream/message.ts';
import type { McpPost } from '../exchange.ts';
import { InvalidMessageError } from '../json-rpc.ts';
import { type FeedDeps, openFeed } from './feed.ts';
import { viewerOf } from './viewer.ts';
import { mayRead } from './visible.ts';
import type { WatchedResource } from './watched-resources.ts';

/** Most resources that one stream may watch. */
const MAX_WATCHED = 1_000;
/** Longest time for which others wait while URIs are looked for among templates, which may be many, in milliseconds. */
const TURN_MS = 10;

/** What a modern client may ask to hear of (specification 2026-07-28, basic/patterns/subscriptions, section Notification Filter). */
export const LIST_FILTERS: Readonly<Record<ListName, string>> = {
  tools: 'toolsListChanged',
  prompts: 'promptsListChanged',
  resources: 'resourcesListChanged',
};

/**
 * Answers `subscriptions/listen` with a stream that stays open until the client leaves or the gateway ends it.
 *
 * @throws InvalidMessageError for a filter that is none
 */
export async function listen(
  deps: FeedDeps & { readonly listing: Listing },
  post: McpPost,
  composition: Composition,
  ending: AbortSignal,
): Promise<void> {
  const { message, answer } = post;
  const filter = message.params?.['notifications'];
  if (!isObject(filter)) {
    throw new InvalidMessageError(-32602, `'params.notifications' must be an object`);
  }
  const lists = LIST_NAMES.filter((name) => filter[LIST_FILTERS[name]] === true);
  const found = await readWatched(filter['resourceSubscriptions'], composition);
  const watched = found.filter((resource) => mayRead(deps.listing, post.principal, resource));
  const send = (notification: JsonObject) => {
    const params = withMeta(paramsOf(notification), SUBSCRIPTION_KEY, message.id);
    answer.sendEvent(JSON.stringify({ ...notification, params }));
  };
  answer.startStream();
  send(acknowledgement(lists, watched));
  const feed = openFeed(deps, {
    request: post,
    viewer: viewerOf(post),
    holder: newId(),
    watched: () => watched,
    onListChanged: (name) => lists.includes(name) && send(listChanged(name)),
    onUpdated: send,
  });
  const over = Promise.withResolvers<void>();
  answer.onClose(over.resolve);
  ending.addEventListener('abort', () => over.resolve());
  await over.promise;
  feed.close();
  answer.sendJson(200, JSON.stringify({ jsonrpc: '2.0', id: message.id, result: closing(message.id) }));
}

/** The notification that a list was changed, of either era. */
export function listChanged(name: ListName): JsonObject {
  return { jsonrpc: '2.0', method: `notifications/${name}/list_changed` };
}

/** The resources that can be watched: those that are somebody's, who tells of their changes. */
async function readWatched(asked: unknown, composition: Composition): Promise<readonly WatchedResource[]> {
  if (asked === undefined) {
    return [];
  }
  if (!Array.isArray(asked) || !asked.every((uri) => typeof uri === 'string') || asked.length > MAX_WATCHED) {
    const message = `'params.notifications.resourceSubscriptions' must be an array of at most ${MAX_WATCHED} URIs`;
    throw new InvalidMessageError(-32602, message);
  }
  const watched: WatchedResource[] = [];
  let turnBegan = performance.now();
  for (const uri of new Set<string>(asked)) {
    const found = composition.findResource(uri);
    if (found !== undefined && canWatch(composition, found.member.upstream.id)) {
      watched.push({ uri, ...found });
    }
    if (performance.now() - turnBegan > TURN_MS) {
      await setImmediate();
      turnBegan = performance.now();
    }
  }
  return watched;
}

function canWatch({ members }: Composition, upstreamId: string): boolean {
  const resources = members.find(({ upstream }) => upstream.id === upstreamId)?.offer.capabilities['resources'];
  return isObject(resources) && resources['subscribe'] === true;
}

function acknowledgement(lists: readonly ListName[], watched: readonly WatchedResource[]): JsonObject {
  const notifications = {
    ...Object.fromEntries(lists.map((name) => [LIST_FILTERS[name], true])),
    ...(watched.length === 0 ? {} : { resourceSubscriptions: watched.map(({ uri }) => uri) }),
  };
  return { jsonrpc: '2.0', method: 'notifications/subscriptions/acknowledged', params: { notifications } };
}

function closing(id: McpPost['message']['id']): JsonObject {
  return { resultType: 'complete', _meta: { [SUBSCRIPTION_KEY]: id } };
}
