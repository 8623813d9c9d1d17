import { GatewayError } from '../domain/errors.ts';
import type { Era, Upstream } from '../domain/upstream.ts';
import type { ChannelClient } from './channel.ts';
import { channelKey } from './channel-key.ts';
import { ChannelSlot } from './channel-slot.ts';
import type { UpstreamLog } from './connection.ts';
import { HTTP_IDLE_MS, hasHttpSession } from './connection-life.ts';
import { ConnectionLimit } from './connection-limit.ts';
import type { OpenConnection } from './connections.ts';
import { madeRoom } from './slot-errors.ts';

export interface ChannelSlotsDeps {
  readonly openConnection: OpenConnection;
  readonly log: UpstreamLog;
  readonly now?: () => number;
  /** Sessions at streamable HTTP upstreams on this replica, of all upstreams together; the least recently used make room. */
  readonly maxHttpSessions?: number;
  /** A session or stream over HTTP without a call for this long is closed. */
  readonly httpIdleMs?: number;
}

/** What one revision of an upstream has open. */
interface Group {
  readonly upstream: Upstream;
  /** Of processes; sessions over HTTP have a limit for all upstreams together. */
  readonly limit: ConnectionLimit;
  readonly slots: Map<string, ChannelSlot>;
}

/** Makes an empty book of slots, by upstream and by the clients that share one. */
export function createChannelSlots(deps: ChannelSlotsDeps) {
  const { openConnection, log, now = Date.now, maxHttpSessions = 1000, httpIdleMs = HTTP_IDLE_MS } = deps;
  const groups = new Map<string, Group>();
  const httpSessions = new ConnectionLimit(maxHttpSessions);

  /** The slots of the upstream's revision of today; throws `unavailable` for an older one. */
  function groupOf(upstream: Upstream): Group {
    const group = groups.get(upstream.id);
    if (group !== undefined && group.upstream.revision === upstream.revision) {
      return group;
    }
    if (group !== undefined && group.upstream.revision > upstream.revision) {
      throw new GatewayError('unavailable', `The upstream "${upstream.slug}" was changed meanwhile. Repeat the call.`);
    }
    forget(upstream.id);
    const created = { upstream, limit: new ConnectionLimit(maxProcessesOf(upstream)), slots: new Map() };
    groups.set(upstream.id, created);
    return created;
  }

  function slotOf(upstream: Upstream, client: ChannelClient, era: Era): ChannelSlot {
    const group = groupOf(upstream);
    const key = channelKey(upstream, client, era);
    let slot = group.slots.get(key);
    if (slot === undefined) {
      const [limit, rivals] = hasHttpSession(upstream, era)
        ? [httpSessions, () => httpSlotsOf(groups.values())]
        : [group.limit, () => group.slots.values()];
      const evict = () => evictOne(rivals());
      slot = new ChannelSlot({ openConnection, log, now, upstream, era, client, limit, evict, httpIdleMs });
      group.slots.set(key, slot);
    }
    return slot;
  }

  /** The slot of this client, if there is one of this revision. */
  function findSlot(upstream: Upstream, client: ChannelClient, era: Era): ChannelSlot | undefined {
    return groups.get(upstream.id)?.slots.get(channelKey(upstream, client, era));
  }

  function slotsAt(upstreamId: string): readonly ChannelSlot[] {
    return [...(groups.get(upstreamId)?.slots.values() ?? [])];
  }

  /** Retires the slots of an upstream. */
  function forget(upstreamId: string): readonly ChannelSlot[] {
    const slots = slotsAt(upstreamId);
    groups.delete(upstreamId);
    for (const slot of slots) {
      slot.retire();
    }
    return slots;
  }

  /** Retires all slots; what still starts ends by itself. */
  function forgetAll(): readonly ChannelSlot[] {
    return [...groups.keys()].flatMap(forget);
  }

  return { slotOf, findSlot, slotsAt, forget, forgetAll, removeUnused: () => removeUnused(groups) };
}

function maxProcessesOf(upstream: Upstream): number {
  return upstream.transport.kind === 'stdio' ? upstream.transport.maxProcesses : Number.POSITIVE_INFINITY;
}

function removeUnused(groups: Map<string, Group>): void {
  for (const [upstreamId, { slots }] of groups) {
    for (const [key, slot] of slots) {
      if (slot.isUnused) {
        slots.delete(key);
      }
    }
    if (slots.size === 0) {
      groups.delete(upstreamId);
    }
  }
}

function* httpSlotsOf(groups: Iterable<Group>): Iterable<ChannelSlot> {
  for (const { slots } of groups) {
    for (const slot of slots.values()) {
      if (hasHttpSession(slot.upstream, slot.era)) {
        yield slot;
      }
    }
  }
}

/** Ends the connection that was unused for longest, one that nobody listens to first. */
function evictOne(slots: Iterable<ChannelSlot>): boolean {
  let found: ChannelSlot | undefined;
  for (const slot of slots) {
    if (slot.isSpare && (found === undefined || isMoreSpare(slot, found))) {
      found = slot;
    }
  }
  void found?.end(madeRoom(found.upstream));
  return found !== undefined;
}

function isMoreSpare(slot: ChannelSlot, other: ChannelSlot): boolean {
  return slot.isHeard === other.isHeard ? slot.lastUse < other.lastUse : other.isHeard;
}
