export type SharedSubscriptions = ReturnType<typeof createSharedSubscriptions>;

/**
 * Who watches which resource over which conversation with a legacy upstream: several clients may share one, and what one of them does not
 * watch any more may be watched by another.
 */
export function createSharedSubscriptions() {
  const holders = new Map<string, Set<string>>();

  /** Notes that this client watches it; without effect when it did already. */
  function hold(channelKey: string, uri: string, holder: string): void {
    const key = keyOf(channelKey, uri);
    const known = holders.get(key) ?? new Set();
    holders.set(key, known.add(holder));
  }

  /** This client does not watch it any more; true when nobody else does either, so that the upstream may be told. */
  function release(channelKey: string, uri: string, holder: string): boolean {
    const key = keyOf(channelKey, uri);
    const known = holders.get(key);
    if (known?.delete(holder) !== true || known.size > 0) {
      return false;
    }
    return holders.delete(key);
  }

  /** This client watches nothing any more; nobody is told. */
  function forget(holder: string): void {
    for (const [key, known] of holders) {
      if (known.delete(holder) && known.size === 0) {
        holders.delete(key);
      }
    }
  }

  return { hold, release, forget };
}

function keyOf(channelKey: string, uri: string): string {
  return `${channelKey} ${uri}`;
}
