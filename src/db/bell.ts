/** Ends a subscription; calling it again does nothing. */
export type Unsubscribe = () => void;

/** Told that something changed, not what: it reads the store itself. */
export type BellListener = () => void | Promise<void>;

/** A doorbell: listeners are told that there is something new to read, never what it is. */
export interface Bell {
  subscribe(listener: BellListener): Unsubscribe;
  /** Resolves when every listener has answered; a listener that fails does not keep the others from hearing it. */
  ring(): Promise<void>;
  readonly listenerCount: number;
}

/** Makes a {@link Bell}; `onError` hears what a listener threw. */
export function createBell(onError: (error: unknown) => void): Bell {
  const listeners = new Set<{ readonly listener: BellListener }>();
  const call = async (listener: BellListener) => {
    try {
      await listener();
    } catch (error) {
      onError(error);
    }
  };
  return {
    subscribe(listener) {
      const entry = { listener };
      listeners.add(entry);
      return () => listeners.delete(entry);
    },
    async ring() {
      if (listeners.size > 0) await Promise.all([...listeners].map((entry) => call(entry.listener)));
    },
    get listenerCount() {
      return listeners.size;
    },
  };
}
