import type { Member } from '../../catalogue/composition.ts';
import type { ListName } from '../../catalogue/list-kinds.ts';
import type { Viewer } from '../../catalogue/offer.ts';
import type { Seating } from '../../catalogue/seats.ts';
import type { JsonObject } from '../../domain/json.ts';
import { findTarget, isRefusal } from '../../pipeline/target.ts';
import type { Channel } from '../../upstream/channels.ts';
import { SUBSCRIPTION_KEY } from '../../upstream/in-flight.ts';
import { isObject, paramsOf } from '../../upstream/message.ts';
import type { Bridge } from '../bridge/bridge.ts';
import type { McpPost, McpRequest } from '../exchange.ts';
import { type ListChangesDeps, watchListChanges } from './list-changes.ts';
import { type MemberLink, type MemberLinkDeps, type MessageTaker, openMemberLink } from './member-link.ts';
import { findUpdated, type WatchedResource } from './watched-resources.ts';

export interface FeedDeps extends ListChangesDeps, MemberLinkDeps {
  readonly bridge: Pick<Bridge, 'eraFor' | 'clientOf'>;
  readonly seating: Pick<Seating, 'seatsOf'>;
}

export interface FeedOptions {
  readonly request: McpRequest & { readonly message?: McpPost['message'] };
  readonly viewer: Viewer;
  /** Names who watches resources: the session, or this stream. */
  readonly holder: string;
  /** What the client wants to hear of. */
  readonly watched: () => readonly WatchedResource[];
  readonly onListChanged: (name: ListName) => void;
  /** A resource was updated: the notification with the URI as the client wrote it. */
  readonly onUpdated: (message: JsonObject) => void;
  /** Makes what takes everything else that legacy upstreams say outside of requests; absent = the client takes none of it. */
  readonly takerFor?: (channel: Channel) => MessageTaker;
}

/** All that happens at the upstreams of a target, for one stream of a client. */
export interface Feed {
  /** What the client wants to hear of has changed. */
  update(): void;
  close(): void;
}

/** Opens one; upstreams that are added, changed or removed meanwhile are followed. */
export function openFeed(deps: FeedDeps, options: FeedOptions): Feed {
  const { request, viewer, onListChanged } = options;
  const { target } = request;
  const links = new Map<string, MemberLink>();

  const follow = (): void => {
    const current = findTarget(deps.config, viewer.principal, target.id);
    relink(isRefusal(current) ? [] : deps.seating.seatsOf(current).members);
  };

  const relink = (members: readonly Member[]): void => {
    const wanted = new Map(members.map((member) => [keyOf(member), member]));
    for (const [key, link] of links) {
      if (!wanted.has(key)) {
        link.close();
        links.delete(key);
      }
    }
    for (const [key, member] of wanted) {
      if (!links.has(key)) {
        links.set(key, linkOf(deps, options, member));
      }
    }
  };

  const ends = [
    deps.config.onUpstreamChange(follow),
    deps.config.onGatewayChange((_gateway, id) => id === target.id && follow()),
    watchListChanges(deps, target, viewer, onListChanged),
  ];
  follow();
  return {
    update() {
      for (const link of links.values()) {
        link.update();
      }
    },
    close() {
      for (const end of ends) {
        end();
      }
      relink([]);
    },
  };
}

function keyOf({ upstream }: Member): string {
  return `${upstream.id} ${upstream.revision}`;
}

function linkOf(deps: FeedDeps, options: FeedOptions, { upstream }: Member): MemberLink {
  const { request, viewer, holder, onUpdated, takerFor } = options;
  const watched = () => options.watched().filter(({ member }) => member.upstream.id === upstream.id);
  return openMemberLink(deps, {
    upstream,
    clientEra: viewer.era,
    clientIn: (era) => deps.bridge.clientOf(request, era),
    holder,
    uris: () => watched().map(({ upstreamUri }) => upstreamUri),
    onUpdated: (updatedUri, message) => {
      const uri = findUpdated(watched(), updatedUri);
      if (uri !== undefined) {
        onUpdated(renamed(message, uri));
      }
    },
    takerFor,
  });
}

/** The notification with the client's URI, and without the mark of the gateway's own subscription. */
function renamed(message: JsonObject, uri: string): JsonObject {
  const { _meta, ...params } = paramsOf(message);
  const { [SUBSCRIPTION_KEY]: _own, ...meta } = isObject(_meta) ? _meta : {};
  return { ...message, params: { ...params, uri, ...(Object.keys(meta).length === 0 ? {} : { _meta: meta }) } };
}
