import type { McpPost } from './exchange.ts';

export type HeldCalls = ReturnType<typeof createHeldCalls>;

/** The calls of legacy sessions that wait for an approval on this replica, so that `notifications/cancelled` finds them. */
export function createHeldCalls() {
  const held = new Map<string, () => void>();

  /** Notes a waiting call; the result forgets it. A call without a session can't be told from another client's with the same id. */
  function add(post: McpPost, onCancel: () => void): () => void {
    const key = keyOf(post, post.message.id);
    if (key === undefined) {
      return () => {};
    }
    held.set(key, onCancel);
    return () => {
      if (held.get(key) === onCancel) {
        held.delete(key);
      }
    };
  }

  /** Ends the wait that a `notifications/cancelled` names; false when there is none here. */
  function cancel(post: McpPost): boolean {
    const key = keyOf(post, post.message.params?.['requestId']);
    const onCancel = key === undefined ? undefined : held.get(key);
    onCancel?.();
    return onCancel !== undefined;
  }

  return { add, cancel };
}

/** Sessions belong to one principal, so their id is enough; 1 and "1" are different requests. */
function keyOf({ session }: McpPost, id: unknown): string | undefined {
  return session === undefined ? undefined : `${session.id} ${JSON.stringify(id)}`;
}
