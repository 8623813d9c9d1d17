import type { Session } from '../sessions.ts';
import type { WatchedResource } from './watched-resources.ts';

export type SessionSubscriptions = ReturnType<typeof createSessionSubscriptions>;

interface Entry {
  readonly expireTime: number;
  readonly watched: Map<string, WatchedResource>;
  /** The session's open streams. */
  readonly listeners: Set<() => void>;
}

/** Most resources that one session may watch. */
const MAX_WATCHED = 1_000;
const SWEEP_MS = 60_000;

export interface SessionSubscriptionsDeps {
  /** Told of a session that has lapsed without an end. */
  readonly onLapse: (sessionId: string) => void;
  readonly now?: () => number;
}

/** The resources that legacy sessions watch on this replica, until they stop to, are ended or lapse. */
export function createSessionSubscriptions({ onLapse, now = Date.now }: SessionSubscriptionsDeps) {
  const entries = new Map<string, Entry>();
  const sweep = setInterval(() => {
    for (const [id, entry] of entries) {
      if (entry.expireTime <= now() || (entry.watched.size === 0 && entry.listeners.size === 0)) {
        entries.delete(id);
        onLapse(id);
      }
    }
  }, SWEEP_MS).unref();

  function entryOf({ id, expireTime }: Session): Entry {
    const known = entries.get(id);
    if (known !== undefined) {
      return known;
    }
    const entry: Entry = { expireTime, watched: new Map(), listeners: new Set() };
    entries.set(id, entry);
    return entry;
  }

  function tell({ listeners }: Entry): void {
    for (const listener of listeners) {
      listener();
    }
  }

  /** Adds one; false when the session watches as many as it may. */
  function add(session: Session, resource: WatchedResource): boolean {
    const entry = entryOf(session);
    if (entry.watched.size >= MAX_WATCHED && !entry.watched.has(resource.uri)) {
      return false;
    }
    entry.watched.set(resource.uri, resource);
    tell(entry);
    return true;
  }

  /** Takes one away, by the URI as the client wrote it; undefined when the session does not watch it. */
  function remove(session: Session, uri: string): WatchedResource | undefined {
    const entry = entries.get(session.id);
    const resource = entry?.watched.get(uri);
    if (entry !== undefined && resource !== undefined) {
      entry.watched.delete(uri);
      tell(entry);
    }
    return resource;
  }

  /** All of a session. */
  function of(session: Session): readonly WatchedResource[] {
    return [...(entries.get(session.id)?.watched.values() ?? [])];
  }

  /** Hears of changes, for a stream of the session; the result ends that. */
  function onChange(session: Session, listener: () => void): () => void {
    const entry = entryOf(session);
    entry.listeners.add(listener);
    return () => entry.listeners.delete(listener);
  }

  /** The session has ended; what it watched. */
  function end(session: Session): readonly WatchedResource[] {
    const watched = of(session);
    entries.delete(session.id);
    return watched;
  }

  return { add, remove, of, onChange, end, close: () => clearInterval(sweep) };
}
