import type { GatewayError } from '../domain/errors.ts';
import type { ChannelClient } from './channel.ts';
import type { ConnectionLimit } from './connection-limit.ts';
import type { Listener } from './listeners.ts';
import type { JsonObject } from './message.ts';
import type { Multiplexer } from './multiplexer.ts';

/** The connections of one slot: the one for calls, and those on their way out; each holds a permit until it is gone. */
export class LiveConnections {
  /** The one that is opened or open. */
  current: Multiplexer | undefined;
  readonly #limit: ConnectionLimit;
  /** Those that the upstream knows no more, with calls that may still end well. */
  readonly #leaving = new Set<Multiplexer>();
  readonly #ending = new Set<Multiplexer>();
  #ended: Promise<void> = Promise.resolve();

  constructor(limit: ConnectionLimit) {
    this.#limit = limit;
  }

  get isEmpty(): boolean {
    return this.current === undefined && this.#leaving.size === 0;
  }

  /** Resolves when nothing is left of those that were told to end. */
  get ended(): Promise<void> {
    return this.#ended;
  }

  isEnding(connection: Multiplexer): boolean {
    return this.#ending.has(connection);
  }

  /** Tells a connection to end. */
  end(connection: Multiplexer): void {
    if (!this.#ending.has(connection)) {
      this.#ending.add(connection);
      this.#limit.ending();
      this.#ended = Promise.all([this.#ended, connection.close()]).then(() => undefined);
    }
  }

  /** Tells all to end, and their subscriptions with this error; resolves when nothing of them is left. */
  endAll(error?: GatewayError): Promise<void> {
    for (const connection of this.#all()) {
      if (error !== undefined) {
        connection.endListens(error);
      }
      this.end(connection);
    }
    return this.#ended;
  }

  /** Ends the subscriptions on all. */
  endListens(error: GatewayError): void {
    for (const connection of this.#all()) {
      connection.endListens(error);
    }
  }

  /** The current one gets no new calls; it is told to end when it has no calls left. */
  leave(): void {
    const { current } = this;
    this.current = undefined;
    if (current !== undefined) {
      this.#leaving.add(current);
      current.listen(false);
      if (current.inFlight === 0) {
        this.end(current);
      }
    }
  }

  /** A connection is gone; true when it had been told to end. */
  remove(connection: Multiplexer): boolean {
    const wasEnding = this.#ending.delete(connection);
    this.#leaving.delete(connection);
    if (this.current === connection) {
      this.current = undefined;
    }
    this.#limit.release(wasEnding);
    return wasEnding;
  }

  /** A client's notification: a cancellation goes where its request went, anything else is news for the connection of today. */
  notify(client: ChannelClient, message: JsonObject): void {
    const isCancel = message['method'] === 'notifications/cancelled';
    for (const connection of this.#all()) {
      if (isCancel || connection === this.current) {
        connection.notify(client, message);
      }
    }
  }

  /** A client's answer goes to the connection that asked; false when none did. */
  respond(client: ChannelClient, message: JsonObject): boolean {
    return this.#all().some((connection) => connection.respond(client, message));
  }

  /** A listening stream was closed. */
  detached(listener: Listener): void {
    for (const connection of this.#all()) {
      connection.detached(listener);
    }
  }

  #all(): readonly Multiplexer[] {
    return this.current === undefined ? [...this.#leaving] : [this.current, ...this.#leaving];
  }
}
