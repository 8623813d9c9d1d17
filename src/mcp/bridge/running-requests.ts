import type { McpPost } from '../exchange.ts';

export type RunningRequests = ReturnType<typeof createRunningRequests>;

/** The requests of legacy sessions that are on their way on this replica, so that `notifications/cancelled` finds them. */
export function createRunningRequests() {
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

  /** Cancels what a `notifications/cancelled` names; false when there is none here. */
  function cancel(post: McpPost): boolean {
    const key = keyOf(post, post.message.params?.['requestId']);
    const same = key === undefined ? undefined : running.get(key);
    for (const onCancel of same ?? []) {
      onCancel();
    }
    return same !== undefined;
  }

  return { add, cancel };
}

/** Sessions belong to one principal, so their id is enough; 1 and "1" are different requests. */
function keyOf({ session }: McpPost, id: unknown): string | undefined {
  return session === undefined ? undefined : `${session.id} ${JSON.stringify(id)}`;
}
