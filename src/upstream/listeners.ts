import type { ChannelClient } from './channel.ts';
import type { JsonObject } from './message.ts';

/** An open stream of a client on which messages outside of its requests may be sent. */
export interface Listener {
  readonly client: ChannelClient;
  send(message: JsonObject): void;
  /** The upstream was changed or removed; nothing more will come. */
  end(): void;
}

/** The streams attached to one channel; they outlive its connection, so that a restarted process finds them again. */
export class Listeners {
  readonly #all = new Set<Listener>();
  #onDetach: (listener: Listener) => void = () => undefined;

  get size(): number {
    return this.#all.size;
  }

  /** Called with every stream that goes away. */
  onDetach(listener: (detached: Listener) => void): void {
    this.#onDetach = listener;
  }

  /** Adds a stream; the result removes it again. */
  attach(listener: Listener): () => void {
    this.#all.add(listener);
    return () => {
      if (this.#all.delete(listener)) {
        this.#onDetach(listener);
      }
    };
  }

  /** One stream of each session, the newest: a message goes to one stream of a client only (specification 2025-11-25, basic/transports, section Multiple Connections). */
  eachSession(): Iterable<Listener> {
    const newest = new Map<string, Listener>();
    for (const listener of this.#all) {
      newest.set(listener.client.sessionId, listener);
    }
    return newest.values();
  }

  /** Tells all streams that it is over. */
  end(): void {
    for (const listener of this.#all) {
      this.#all.delete(listener);
      listener.end();
    }
  }
}
