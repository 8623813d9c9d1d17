import { setTimeout as pause } from 'node:timers/promises';
import { changedList } from '../../catalogue/list-kinds.ts';
import { newId } from '../../domain/ids.ts';
import type { JsonObject } from '../../domain/json.ts';
import type { Era, Upstream } from '../../domain/upstream.ts';
import { channelKey } from '../../upstream/channel-key.ts';
import type { Channel, ChannelClient, Channels } from '../../upstream/channels.ts';
import { MODERN_META } from '../../upstream/gateway-client.ts';
import { errorAnswer, paramsOf, textOf } from '../../upstream/message.ts';
import type { Bridge } from '../bridge/bridge.ts';
import type { SharedSubscriptions } from './shared-subscriptions.ts';

export interface MemberLinkDeps {
  readonly channels: Pick<Channels, 'open'>;
  readonly bridge: Pick<Bridge, 'eraFor'>;
  readonly shared: SharedSubscriptions;
}

export interface MemberLinkOptions {
  readonly upstream: Upstream;
  readonly clientEra: Era;
  /** Who the stream's client is at the upstream when it is spoken to in an era. */
  readonly clientIn: (era: Era) => ChannelClient;
  /** Names who watches resources: the session, or this stream. */
  readonly holder: string;
  /** URIs to watch, as the upstream knows them. */
  readonly uris: () => readonly string[];
  /** A resource was updated; the notification as the upstream sent it. */
  readonly onUpdated: (uri: string, message: JsonObject) => void;
  /** Makes what takes everything else that a legacy upstream says outside of requests; absent = it is refused what it asks. */
  readonly takerFor?: ((channel: Channel) => MessageTaker) | undefined;
}

/** Takes what an upstream says to a client. */
export interface MessageTaker {
  take(message: JsonObject): void;
  /** The upstream says nothing to this client any more. */
  end(): void;
}

/** A stream's tie to one upstream. */
export interface MemberLink {
  /** What is to be watched has changed. */
  update(): void;
  close(): void;
}

const FIRST_RETRY_MS = 1_000;
const LONGEST_RETRY_MS = 30_000;

/** Listens to one upstream on behalf of a stream for as long as that is open; an upstream that fails is tried again and again. */
export function openMemberLink(deps: MemberLinkDeps, options: MemberLinkOptions): MemberLink {
  const { upstream, clientEra, uris } = options;
  const closed = new AbortController();
  let changed = new AbortController();

  const run = async (): Promise<void> => {
    let retryMs = FIRST_RETRY_MS;
    while (!closed.signal.aborted) {
      changed = new AbortController();
      try {
        const isNeeded = clientEra === 'legacy' || uris().length > 0;
        const era = isNeeded ? await deps.bridge.eraFor(upstream, clientEra) : undefined;
        await listenIn(era, AbortSignal.any([closed.signal, changed.signal]));
        retryMs = FIRST_RETRY_MS;
      } catch {
        // The channel has logged why; who calls the upstream is told.
        await pause(retryMs, undefined, { signal: closed.signal }).catch(() => undefined);
        retryMs = Math.min(retryMs * 2, LONGEST_RETRY_MS);
      }
    }
  };

  const listenIn = (era: Era | undefined, until: AbortSignal): Promise<void> => {
    if (era === 'legacy') {
      return attach(deps, options, closed.signal);
    }
    return era === undefined || uris().length === 0 ? aborted(until) : subscribe(deps, options, until);
  };

  void run();
  return { update: () => changed.abort(), close: () => closed.abort() };
}

/** A legacy upstream speaks outside of requests, and watches what it was told to; ends when it was closed. */
async function attach(deps: MemberLinkDeps, options: MemberLinkOptions, closed: AbortSignal): Promise<void> {
  const { upstream, clientIn, uris, holder } = options;
  const client = clientIn('legacy');
  const channel = await deps.channels.open(upstream, client, 'legacy');
  if (closed.aborted) {
    return;
  }
  const key = channelKey(upstream, client, 'legacy');
  // Modern clients of one principal are one client there, but each of their streams hears everything.
  const listener = options.clientEra === 'modern' ? { ...client, sessionId: holder } : client;
  const over = Promise.withResolvers<void>();
  const watch = () => {
    const watched = uris();
    for (const uri of watched) {
      deps.shared.hold(key, uri, holder);
    }
    void tellAll(channel, client, 'resources/subscribe', watched, closed);
  };
  const taker = options.takerFor?.(channel) ?? refuser(channel, listener);
  const detach = channel.attach(listener, {
    send: (message) => take(options, taker, message),
    onReopen: watch,
    // Who is closed here was changed or removed: the stream links itself to what came after it.
    onEnd: over.resolve,
  });
  watch();
  await Promise.race([over.promise, aborted(closed)]);
  detach();
  taker.end();
  if (options.clientEra === 'modern') {
    const released = uris().filter((each) => deps.shared.release(key, each, holder));
    void tellAll(channel, client, 'resources/unsubscribe', released);
  }
  await aborted(closed);
}

function take({ onUpdated }: MemberLinkOptions, taker: MessageTaker, message: JsonObject): void {
  if (message['method'] === 'notifications/resources/updated') {
    onUpdated(textOf(paramsOf(message)['uri']), message);
  } else if (changedList(message) === undefined) {
    // Of changed lists the catalogue hears too, and tells of them when it knows the new ones.
    taker.take(message);
  }
}

/** Takes what is said to a client that can't be told, or asked, anything outside of its requests. */
function refuser(channel: Channel, client: ChannelClient): MessageTaker {
  const take = ({ id, method }: JsonObject) => {
    if (id !== undefined && typeof method === 'string') {
      channel.respond(client, errorAnswer(id, -32601, 'the client cannot be asked outside of its requests'));
    }
  };
  return { take, end: () => {} };
}

/** Requests of one link that are on their way at once: there may be a thousand, and an upstream's other clients call it too. */
const AT_ONCE = 4;

/** Asks for each; what the upstream answers is of no use here. */
async function tellAll(
  channel: Channel,
  client: ChannelClient,
  method: string,
  uris: readonly string[],
  until?: AbortSignal,
): Promise<void> {
  const left = uris.values();
  const tellNext = async (): Promise<void> => {
    for (const uri of left) {
      if (until?.aborted === true) {
        return;
      }
      const message = { jsonrpc: '2.0', id: newId(), method, params: { uri } };
      const options = { client, signal: new AbortController().signal, onMessage: () => undefined };
      await channel.request(message, options).catch(() => undefined);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, tellNext));
}

/** A modern upstream is asked to tell of resources; ends when it was closed, or is to watch others. Rejects when the upstream ends it. */
async function subscribe(deps: MemberLinkDeps, options: MemberLinkOptions, until: AbortSignal): Promise<void> {
  const { upstream, clientIn, uris, onUpdated } = options;
  const client = clientIn('modern');
  const channel = await deps.channels.open(upstream, client, 'modern');
  const params = { notifications: { resourceSubscriptions: uris() }, _meta: MODERN_META };
  const message = { jsonrpc: '2.0', id: newId(), method: 'subscriptions/listen', params };
  const onMessage = (heard: JsonObject) => {
    if (heard['method'] === 'notifications/resources/updated') {
      onUpdated(textOf(paramsOf(heard)['uri']), heard);
    }
  };
  try {
    await channel.request(message, { client, signal: until, onMessage });
  } catch (error) {
    if (!until.aborted) {
      throw error;
    }
  }
  if (!until.aborted) {
    throw new Error('the upstream ended the subscription');
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) {
      resolve();
    }
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
