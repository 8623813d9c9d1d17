import type { Composition } from '../../catalogue/composition.ts';
import type { Seating } from '../../catalogue/seats.ts';
import { newId } from '../../domain/ids.ts';
import type { Listing } from '../../pipeline/listing.ts';
import { channelKey } from '../../upstream/channel-key.ts';
import type { Channels } from '../../upstream/channels.ts';
import { isObject } from '../../upstream/message.ts';
import type { McpPost } from '../exchange.ts';
import { InvalidMessageError } from '../json-rpc.ts';
import { withParams } from '../message-rewrite.ts';
import { type ForwardDeps, forwardTo } from './forward.ts';
import { withMessage } from './routes.ts';
import type { SessionRequest } from './session-stream.ts';
import type { SessionSubscriptions } from './session-subscriptions.ts';
import type { SharedSubscriptions } from './shared-subscriptions.ts';
import { mayRead } from './visible.ts';
import type { WatchedResource } from './watched-resources.ts';

export interface SubscribeDeps extends ForwardDeps {
  readonly channels: Pick<Channels, 'find'>;
  readonly seating: Pick<Seating, 'seatsOf'>;
  readonly listing: Listing;
  readonly subscriptions: SessionSubscriptions;
  readonly shared: SharedSubscriptions;
}

/** A POST in a legacy session. */
export type SessionPost = McpPost & SessionRequest;

/**
 * Answers `resources/subscribe` (specification 2025-11-25, server/resources, Subscriptions): a legacy upstream is told, and answers; a
 * modern one is asked by the session's stream.
 *
 * @throws InvalidMessageError when the resource cannot be watched
 */
export async function subscribe(deps: SubscribeDeps, post: SessionPost, composition: Composition): Promise<void> {
  const { session } = post;
  const watched = findWatched(deps, post, composition);
  const { upstream } = watched.member;
  const era = await deps.bridge.eraFor(upstream, 'legacy');
  if (era === 'modern') {
    requireSubscribe(watched, composition);
  }
  if (!deps.subscriptions.add(session, watched)) {
    throw new InvalidMessageError(-32602, 'the session watches as many resources as it may: unsubscribe from some');
  }
  if (era === 'modern') {
    return answerEmpty(post);
  }
  deps.shared.hold(keyOf(deps, post, watched), watched.upstreamUri, session.id);
  const { status } = await forward(deps, post, watched);
  if (status !== 'ok') {
    deps.subscriptions.remove(session, watched.uri);
    deps.shared.release(keyOf(deps, post, watched), watched.upstreamUri, session.id);
  }
}

/** Answers `resources/unsubscribe`; an upstream is told when nobody else watches the resource over the same conversation. */
export async function unsubscribe(deps: SubscribeDeps, post: SessionPost): Promise<void> {
  const { session } = post;
  const removed = deps.subscriptions.remove(session, uriOf(post));
  const watched = removed && atPresent(deps, post, removed);
  if (watched !== undefined && deps.shared.release(keyOf(deps, post, watched), watched.upstreamUri, session.id)) {
    await forward(deps, post, watched);
  } else {
    answerEmpty(post);
  }
}

/** A session has ended: upstreams need not tell it of resources any more. */
export function endSubscriptions(deps: SubscribeDeps, request: SessionRequest): void {
  for (const ended of deps.subscriptions.end(request.session)) {
    const watched = atPresent(deps, request, ended);
    if (watched && deps.shared.release(keyOf(deps, request, watched), watched.upstreamUri, request.session.id)) {
      void tellUpstream(deps, request, watched);
    }
  }
  // What it watched before an upstream was changed is noted under the upstream of that time.
  deps.shared.forget(request.session.id);
}

/** The resource at its upstream as that is configured now; undefined when it does not belong to the target any more. */
function atPresent({ seating }: SubscribeDeps, { target }: SessionRequest, watched: WatchedResource) {
  const member = seating.seatsOf(target).members.find(({ upstream }) => upstream.id === watched.member.upstream.id);
  return member && { ...watched, member };
}

function findWatched({ listing }: SubscribeDeps, post: SessionPost, composition: Composition): WatchedResource {
  const uri = uriOf(post);
  const found = composition.findResource(uri);
  if (found === undefined || !mayRead(listing, post.principal, found)) {
    throw new InvalidMessageError(-32602, `Unknown resource: ${uri}`);
  }
  return { uri, ...found };
}

function requireSubscribe({ uri, member }: WatchedResource, { members }: Composition): void {
  const offer = members.find(({ upstream }) => upstream.id === member.upstream.id)?.offer;
  const resources = offer?.capabilities['resources'];
  if (!isObject(resources) || resources['subscribe'] !== true) {
    throw new InvalidMessageError(-32602, `The upstream of '${uri}' does not tell of changes of a resource`);
  }
}

function uriOf({ message }: McpPost): string {
  const uri = message.params?.['uri'];
  if (typeof uri !== 'string') {
    throw new InvalidMessageError(-32602, `'params.uri' must be a string`);
  }
  return uri;
}

function forward(deps: SubscribeDeps, post: SessionPost, { member, uri, upstreamUri }: WatchedResource) {
  const message = uri === upstreamUri ? post.message : withParams(post.message, { uri: upstreamUri });
  return forwardTo(deps, { post: withMessage(post, message), upstream: member.upstream });
}

/** An upstream with which the session has no conversation any more tells it nothing either. */
async function tellUpstream(
  { channels, bridge }: SubscribeDeps,
  request: SessionRequest,
  { member, upstreamUri }: WatchedResource,
): Promise<void> {
  const client = bridge.clientOf(request, 'legacy');
  const channel = channels.find(member.upstream, client, 'legacy');
  const message = { jsonrpc: '2.0', id: newId(), method: 'resources/unsubscribe', params: { uri: upstreamUri } };
  const options = { client, signal: new AbortController().signal, onMessage: () => undefined };
  await channel?.request(message, options).catch(() => undefined);
}

/** The conversation over which a legacy upstream tells the session of a resource. */
function keyOf({ bridge }: SubscribeDeps, request: SessionRequest, { member }: WatchedResource): string {
  return channelKey(member.upstream, bridge.clientOf(request, 'legacy'), 'legacy');
}

function answerEmpty({ message, answer }: McpPost): void {
  answer.sendJson(200, JSON.stringify({ jsonrpc: '2.0', id: message.id, result: {} }));
}
