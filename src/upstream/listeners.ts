import type { ChannelClient, ChannelListener } from './channel.ts';
import type { JsonObject } from './message.ts';

/** An open stream of a client on which messages outside of its requests may be sent. */
export interface Listener {
  readonly client: ChannelClient;
  send(message: JsonObject): void;
}

interface Attached extends Listener {
  readonly stream: ChannelListener;
}

/** The streams attached to one channel; they outlive its connection, so that a restarted process finds them again. */
export class Listeners {
  readonly #all = new Set<Attached>();
  readonly #onChange: (detached?: Listener) => void;

  /** `onChange` is called when a stream was added, and with every stream that goes away. */
  constructor(onChange: (detached?: Listener) => void) {
    this.#onChange = onChange;
  }

  get size(): number {
    return this.#all.size;
  }

  /** Adds a stream; the result removes it again. */
  attach(client: ChannelClient, stream: ChannelListener): () => void {
    const listener: Attached = { client, stream, send: (message) => stream.send(message) };
    this.#all.add(listener);
    this.#onChange();
    return () => {
      if (this.#all.delete(listener)) {
        this.#onChange(listener);
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
      listener.stream.onEnd?.();
    }
  }

  /** Tells all streams that nothing will be heard on them for now. */
  deaf(): void {
    this.#tellAll((stream) => stream.onDeaf?.());
  }

  /** Tells all streams that the connection was lost and made anew. */
  reopened(): void {
    this.#tellAll((stream) => stream.onReopen?.());
  }

  /** Streams that come while they are told are not told. */
  #tellAll(tell: (stream: ChannelListener) => void): void {
    const streams = Array.from(this.#all, ({ stream }) => stream);
    streams.forEach(tell);
  }
}
