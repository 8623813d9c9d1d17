import type { JsonObject } from '../../domain/json.ts';
import type { Channel } from '../../upstream/channels.ts';
import type { Bridge } from '../bridge/bridge.ts';
import { ClientAnswer } from '../client-answer.ts';
import type { McpRequest } from '../exchange.ts';
import type { Session } from '../sessions.ts';
import { type FeedDeps, openFeed } from './feed.ts';
import { listChanged } from './listen.ts';
import type { MessageTaker } from './member-link.ts';
import type { SessionSubscriptions } from './session-subscriptions.ts';
import { sessionViewer } from './viewer.ts';

export interface SessionStreamDeps extends FeedDeps {
  readonly bridge: Pick<Bridge, 'eraFor' | 'clientOf' | 'deliveries'>;
  readonly subscriptions: SessionSubscriptions;
}

/** How often it is looked whether the session of an open stream is over, in milliseconds. */
const LOOK_MS = 1_000;

/** A request on a session that is named in it. */
export type SessionRequest = McpRequest & { readonly session: Session };

/** The server-to-client streams of legacy sessions (specification 2025-11-25, basic/transports, section Listening for Messages from the Server). */
export function createSessionStreams(deps: SessionStreamDeps) {
  /** The streams of each session, the newest last: a message goes to one of them only. */
  const open = new Map<string, readonly symbol[]>();

  function leave(sessionId: string, stream: symbol): void {
    const left = (open.get(sessionId) ?? []).filter((other) => other !== stream);
    if (left.length === 0) {
      open.delete(sessionId);
    } else {
      open.set(sessionId, left);
    }
  }

  /** Opens one; resolves when its client is gone or it was ended. */
  async function openStream(request: SessionRequest): Promise<void> {
    const { session, response, requestId } = request;
    const answer = new ClientAnswer(response, requestId);
    const stream = Symbol('stream');
    open.set(session.id, [...(open.get(session.id) ?? []), stream]);
    const send = (message: JsonObject) => answer.sendEvent(JSON.stringify(message));
    const sendOnce = (message: JsonObject) => open.get(session.id)?.at(-1) === stream && send(message);
    answer.startStream();
    const feed = openFeed(deps, {
      request,
      viewer: sessionViewer(request),
      holder: session.id,
      watched: () => deps.subscriptions.of(session),
      onListChanged: (name) => sendOnce(listChanged(name)),
      onUpdated: sendOnce,
      // A channel gives each message to the newest stream of a session by itself.
      takerFor: (channel) => takerOf(deps, request, channel, send),
    });
    const stopFollowing = deps.subscriptions.onChange(session, feed.update);
    // It may be ended by a request to another replica.
    const lookOut = setInterval(() => isOver(deps, session) && answer.end(), LOOK_MS);
    await new Promise<void>((resolve) => answer.onClose(resolve));
    clearInterval(lookOut);
    stopFollowing();
    feed.close();
    leave(session.id, stream);
  }

  return { open: openStream };
}

function isOver({ config }: SessionStreamDeps, { id, expireTime }: Session): boolean {
  return expireTime <= Date.now() || config.isSessionEnded(id);
}

/** Passes on what a legacy upstream says, as the session's client may get it. */
function takerOf(
  { bridge }: SessionStreamDeps,
  request: SessionRequest,
  channel: Channel,
  send: (message: JsonObject) => void,
): MessageTaker {
  const deliveries = bridge.deliveries(request, channel);
  const sendAny = (message: JsonObject | undefined) => message && send(message);
  return {
    take(message) {
      const translated = deliveries.translate(message);
      if (translated instanceof Promise) {
        void translated.then(sendAny);
      } else {
        sendAny(translated);
      }
    },
    end: () => deliveries.end(),
  };
}
