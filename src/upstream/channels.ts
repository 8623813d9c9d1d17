import { GatewayError } from '../domain/errors.ts';
import type { Era, Upstream } from '../domain/upstream.ts';
import type { Channel, ChannelClient } from './channel.ts';
import { channelKey, sharingOf } from './channel-key.ts';
import { ChannelSlot } from './channel-slot.ts';
import type { UpstreamLog } from './connection.ts';
import type { OpenConnection } from './connections.ts';
import type { JsonObject } from './message.ts';
import { ProcessLimit } from './process-limit.ts';

export type { Channel, ChannelClient } from './channel.ts';

/** The shared connections to stdio and SSE upstreams of this replica. */
export interface Channels {
  /**
   * The channel that serves this client, started if need be; throws `bad_gateway` when the upstream cannot be started,
   * `unavailable` when it may not be started now.
   */
  open(upstream: Upstream, client: ChannelClient, era: Era): Promise<Channel>;
  /** Ends what the session had of its own. */
  endSession(upstream: Upstream, sessionId: string): Promise<void>;
  /** The upstream was changed or removed: its connections end after their calls. */
  forget(upstreamId: string): void;
  /** Ends all connections. */
  close(): Promise<void>;
}

export interface ChannelsDeps {
  readonly openConnection: OpenConnection;
  readonly log: UpstreamLog;
  readonly now?: () => number;
}

/** What one revision of an upstream has open. */
interface Group {
  readonly upstream: Upstream;
  readonly limit: ProcessLimit;
  readonly slots: Map<string, ChannelSlot>;
}

const SWEEP_MS = 60_000;

/** Makes the channels; which clients share one is told by the upstream's ConnectionSharing. */
export function createChannels(deps: ChannelsDeps): Channels {
  const { openConnection, log, now = Date.now } = deps;
  const groups = new Map<string, Group>();

  const groupOf = (upstream: Upstream): Group => {
    const group = groups.get(upstream.id);
    if (group !== undefined && group.upstream.revision === upstream.revision) {
      return group;
    }
    if (group !== undefined && group.upstream.revision > upstream.revision) {
      throw new GatewayError('unavailable', `The upstream "${upstream.slug}" was changed meanwhile. Repeat the call.`);
    }
    forget(upstream.id);
    const created = { upstream, limit: new ProcessLimit(maxProcessesOf(upstream)), slots: new Map() };
    groups.set(upstream.id, created);
    return created;
  };

  const slotOf = (upstream: Upstream, client: ChannelClient, era: Era): ChannelSlot => {
    const { limit, slots } = groupOf(upstream);
    const key = channelKey(upstream, client, era);
    let slot = slots.get(key);
    if (slot === undefined) {
      const evict = () => evictOne(slots.values());
      slot = new ChannelSlot({ openConnection, log, now, upstream, era, client, limit, evict });
      slots.set(key, slot);
    }
    return slot;
  };

  const open = async (upstream: Upstream, client: ChannelClient, era: Era): Promise<Channel> => {
    const channel = await slotOf(upstream, client, era).open();
    return sharingOf(upstream) === 'per_upstream' ? lowered(channel, client) : channel;
  };

  const endSession = async (upstream: Upstream, sessionId: string): Promise<void> => {
    const slots = [...(groups.get(upstream.id)?.slots.values() ?? [])];
    const ended = slots.filter(
      (slot) => sharingOf(slot.upstream) === 'per_session' && slot.client.sessionId === sessionId,
    );
    await Promise.all(ended.map((slot) => slot.end()));
  };

  const forget = (upstreamId: string): void => {
    const group = groups.get(upstreamId);
    groups.delete(upstreamId);
    for (const slot of group?.slots.values() ?? []) {
      slot.retire();
    }
  };

  const sweep = setInterval(() => removeUnused(groups), SWEEP_MS).unref();

  const close = async (): Promise<void> => {
    clearInterval(sweep);
    const slots = [...groups.values()].flatMap((group) => [...group.slots.values()]);
    groups.clear();
    const ends = slots.map((slot) => {
      slot.retire(); // what is still starting ends by itself
      return slot.end();
    });
    await Promise.all(ends);
  };

  return { open, endSession, forget, close };
}

function maxProcessesOf(upstream: Upstream): number {
  return upstream.transport.kind === 'stdio' ? upstream.transport.maxProcesses : Number.POSITIVE_INFINITY;
}

/** Ends the process that was unused for longest, one that nobody listens to first. */
function evictOne(slots: Iterable<ChannelSlot>): boolean {
  const spare = [...slots].filter((slot) => slot.isSpare);
  spare.sort((a, b) => Number(a.hasListeners) - Number(b.hasListeners) || a.lastUse - b.lastUse);
  void spare[0]?.end();
  return spare.length > 0;
}

function removeUnused(groups: Map<string, Group>): void {
  for (const [upstreamId, group] of groups) {
    for (const [key, slot] of group.slots) {
      if (slot.isUnused) {
        group.slots.delete(key);
      }
    }
    if (group.slots.size === 0) {
      groups.delete(upstreamId);
    }
  }
}

/** A connection that all share speaks the newest revision; a client that asked for an older one is told that one. */
function lowered(channel: Channel, client: ChannelClient): Channel {
  const asked = client.initializeParams?.['protocolVersion'];
  const spoken = channel.initializeResult?.['protocolVersion'];
  if (typeof asked !== 'string' || typeof spoken !== 'string' || asked >= spoken) {
    return channel;
  }
  const initializeResult: JsonObject = { ...channel.initializeResult, protocolVersion: asked };
  return { ...channel, initializeResult };
}
