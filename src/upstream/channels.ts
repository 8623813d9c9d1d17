import type { Era, Upstream } from '../domain/upstream.ts';
import type { Channel, ChannelClient } from './channel.ts';
import { sharingOf } from './channel-key.ts';
import { type ChannelSlotsDeps, createChannelSlots } from './channel-slots.ts';

export type { Channel, ChannelClient, ChannelRequestOptions } from './channel.ts';

/** The shared conversations with upstreams of this replica. */
export interface Channels {
  /**
   * The channel that serves this client, started if need be; throws `bad_gateway` when the upstream cannot be started,
   * `unavailable` when it may not be started now.
   */
  open(upstream: Upstream, client: ChannelClient, era: Era): Promise<Channel>;
  /** The same if it is open; undefined otherwise. */
  find(upstream: Upstream, client: ChannelClient, era: Era): Channel | undefined;
  /** Ends what the session had of its own. */
  endSession(upstream: Upstream, sessionId: string): Promise<void>;
  /** The upstream was changed or removed: its connections end after their calls. */
  forget(upstreamId: string): void;
  /** Ends all connections. */
  close(): Promise<void>;
}

export type ChannelsDeps = ChannelSlotsDeps;

const SWEEP_MS = 60_000;

/** Makes the channels; which clients share one is told by the upstream's ConnectionSharing. */
export function createChannels(deps: ChannelsDeps): Channels {
  const slots = createChannelSlots(deps);
  const sweep = setInterval(slots.removeUnused, SWEEP_MS).unref();

  const open = async (upstream: Upstream, client: ChannelClient, era: Era): Promise<Channel> =>
    slots.slotOf(upstream, client, era).open();

  const find = (upstream: Upstream, client: ChannelClient, era: Era): Channel | undefined =>
    slots.findSlot(upstream, client, era)?.opened;

  const endSession = async (upstream: Upstream, sessionId: string): Promise<void> => {
    if (sharingOf(upstream) === 'per_session') {
      const ended = slots.slotsAt(upstream.id).filter((slot) => slot.client.sessionId === sessionId);
      await Promise.all(ended.map((slot) => slot.end()));
    }
  };

  const forget = (upstreamId: string): void => {
    slots.forget(upstreamId);
  };

  const close = async (): Promise<void> => {
    clearInterval(sweep);
    await Promise.all(slots.forgetAll().map((slot) => slot.end()));
  };

  return { open, find, endSession, forget, close };
}
