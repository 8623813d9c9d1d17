import type { PortcullisError } from './errors.ts';

/** How a watch ends, and what it tells beside what it watches. */
export interface WatchCallbacks {
  /** Ends the watch, without an error. */
  readonly signal?: AbortSignal | undefined;
  /**
   * Told the place of the watch when there is nothing to watch: first as soon as it has caught up, then after every 15 quiet seconds.
   * All that came before it has been handled. The watch waits for it, and ends with what it throws.
   */
  readonly onCheckpoint?: ((cursor: string) => void | Promise<void>) | undefined;
  /** Told why the connection broke, before the wait for the next one. */
  readonly onReconnect?: ((error: PortcullisError) => void) | undefined;
}
