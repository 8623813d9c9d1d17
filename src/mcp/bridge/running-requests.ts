import type { McpPost } from '../exchange.ts';
import type { Relay } from './relay.ts';

export type RunningRequests = ReturnType<typeof createRunningRequests>;

export interface RunningRequestsDeps {
  readonly relay: Pick<Relay, 'on' | 'sendToAll'>;
}

/** Cancellations of requests that are not on their way yet; of more, the oldest are forgotten. */
const MAX_EARLY = 10_000;

/**
 * The requests of legacy sessions that are on their way on this replica, so that a `notifications/cancelled` that came to any replica
 * finds them; one that comes while its request is still being decided waits for it.
 */
export function createRunningRequests({ relay }: RunningRequestsDeps) {
  const running = new Map<string, Set<() => void>>();
  const early = new Set<string>();

  /** Notes a request; the result forgets it. */
  function add(post: McpPost, onCancel: () => void): () => void {
    const key = keyOf(post, post.message.id);
    if (key === undefined) {
      return () => {};
    }
    const same = running.get(key) ?? new Set();
    running.set(key, same.add(onCancel));
    if (early.delete(key)) {
      queueMicrotask(onCancel);
    }
    return () => {
      same.delete(onCancel);
      if (same.size === 0 && running.get(key) === same) {
        running.delete(key);
      }
    };
  }

  /** Cancels what a `notifications/cancelled` names; false when there is none here, and the other replicas are told. */
  function cancel(post: McpPost): boolean {
    const requestKey = keyOf(post, post.message.params?.['requestId']);
    if (requestKey === undefined) {
      return false;
    }
    const isHere = cancelKey(requestKey);
    if (!isHere) {
      relay.sendToAll({ kind: 'cancel', requestKey });
    }
    return isHere;
  }

  function cancelKey(requestKey: string): boolean {
    const same = running.get(requestKey);
    if (same === undefined) {
      noteEarly(requestKey);
    }
    for (const onCancel of same ?? []) {
      onCancel();
    }
    return same !== undefined;
  }

  /** A session uses no id twice, so one that is over already is just forgotten in time. */
  function noteEarly(requestKey: string): void {
    early.add(requestKey);
    if (early.size > MAX_EARLY) {
      // Sets keep insertion order, so this is the one noted longest ago.
      early.delete(early.values().next().value as string);
    }
  }

  relay.on('cancel', ({ requestKey }) => void cancelKey(requestKey));

  return { add, cancel };
}

/** Sessions belong to one principal, so their id is enough; 1 and "1" are different requests. */
function keyOf({ session }: McpPost, id: unknown): string | undefined {
  return session === undefined ? undefined : `${session.id} ${JSON.stringify(id)}`;
}
