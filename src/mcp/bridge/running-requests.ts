import type { McpPost } from '../exchange.ts';
import type { Relay } from './relay.ts';

export type RunningRequests = ReturnType<typeof createRunningRequests>;

/** The requests of legacy sessions that are on their way on this replica, so that a `notifications/cancelled` that came to any replica finds them. */
export function createRunningRequests({ relay }: { readonly relay: Pick<Relay, 'on' | 'sendToAll'> }) {
  const running = new Map<string, Set<() => void>>();

  /** Notes a request; the result forgets it. */
  function add(post: McpPost, onCancel: () => void): () => void {
    const key = keyOf(post, post.message.id);
    if (key === undefined) {
      return () => {};
    }
    const same = running.get(key) ?? new Set();
    running.set(key, same.add(onCancel));
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
    for (const onCancel of same ?? []) {
      onCancel();
    }
    return same !== undefined;
  }

  relay.on('cancel', ({ requestKey }) => void cancelKey(requestKey));

  return { add, cancel };
}

/** Sessions belong to one principal, so their id is enough; 1 and "1" are different requests. */
function keyOf({ session }: McpPost, id: unknown): string | undefined {
  return session === undefined ? undefined : `${session.id} ${JSON.stringify(id)}`;
}
