import type { Upstream } from '../domain/upstream.ts';
import type { HttpAnswer } from './http-call.ts';
import type { JsonObject } from './message.ts';
import { callInSession, endOwnSession, isSessionLost, type OwnSession, openOwnSession } from './own-session.ts';
import type { StreamableClient } from './streamable.ts';

/** The gateway's own legacy sessions, one for each principal and upstream. */
export interface OwnSessions {
  /** Calls within the principal's session, which is opened if need be, and once more when the upstream no longer knows it. */
  call(
    upstream: Upstream,
    principalId: string,
    message: JsonObject,
    signal: AbortSignal | undefined,
  ): Promise<HttpAnswer>;
  /** Ends the sessions at an upstream. */
  forget(upstreamId: string): void;
  /** Ends all sessions. */
  close(): void;
}

export interface OwnSessionsOptions {
  readonly client: StreamableClient;
  readonly capacity?: number;
  /** A session that was not used for this long is ended. */
  readonly idleMs?: number;
  readonly now?: () => number;
}

interface Entry {
  readonly upstream: Upstream;
  readonly opening: Promise<OwnSession>;
  lastUse: number;
}

/** Makes the sessions; the least recently used one is ended when there are too many. */
export function createOwnSessions(options: OwnSessionsOptions): OwnSessions {
  const { client, capacity = 1000, idleMs = 5 * 60_000, now = Date.now } = options;
  const entries = new Map<string, Entry>();

  /** Ends the sessions that match. */
  const dropWhere = (matches: (entry: Entry) => boolean): void => {
    for (const [key, entry] of entries) {
      if (matches(entry)) {
        entries.delete(key);
        entry.opening.then((session) => endOwnSession(client, session)).catch(() => undefined);
      }
    }
  };

  /** Drops an entry whose session is over already, unless another took its place. */
  const remove = (key: string, entry: Entry): void => {
    if (entries.get(key) === entry) {
      entries.delete(key);
    }
  };

  const entryOf = (upstream: Upstream, principalId: string): Entry => {
    const key = keyOf(upstream, principalId);
    let entry = entries.get(key);
    if (entry?.upstream.revision !== upstream.revision) {
      dropWhere((old) => old === entry);
      const created = { upstream, opening: openOwnSession(client, upstream), lastUse: 0 };
      created.opening.catch(() => remove(key, created));
      entry = created;
    }
    entry.lastUse = now();
    entries.delete(key); // to the end: the first entry is the least recently used
    entries.set(key, entry);
    if (entries.size > capacity) {
      const oldest = entries.values().next().value;
      dropWhere((candidate) => candidate === oldest);
    }
    return entry;
  };

  const sweep = setInterval(() => dropWhere(({ lastUse }) => lastUse + idleMs < now()), idleMs / 5).unref();

  const call: OwnSessions['call'] = async (upstream, principalId, message, signal) => {
    const entry = entryOf(upstream, principalId);
    const session = await entry.opening;
    const answer = await callInSession(client, session, message, signal);
    if (!isSessionLost(session, answer)) {
      return answer;
    }
    remove(keyOf(upstream, principalId), entry);
    return callInSession(client, await entryOf(upstream, principalId).opening, message, signal);
  };

  return {
    call,
    forget: (upstreamId) => dropWhere(({ upstream }) => upstream.id === upstreamId),
    close() {
      clearInterval(sweep);
      dropWhere(() => true);
    },
  };
}

function keyOf(upstream: Upstream, principalId: string): string {
  return `${upstream.id} ${principalId}`;
}
