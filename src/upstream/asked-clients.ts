import { newId } from '../domain/ids.ts';
import type { ChannelClient } from './channel.ts';
import { InFlight } from './in-flight.ts';
import type { Listener } from './listeners.ts';
import { errorAnswer, type JsonObject } from './message.ts';

/** Where a request of the upstream was delivered: the stream of a client's request, or its listening stream. */
export type Via = InFlight | Listener;

const MAX_ASKED = 1000;

interface Asked {
  /** As the upstream sent it. */
  readonly message: JsonObject;
  readonly client: ChannelClient;
  readonly via: Via;
}

/**
 * The requests of the upstream that wait for a client's answer. Each goes to one client, under an id that cannot be guessed,
 * and only that client's answer goes back.
 */
export class AskedClients {
  readonly #send: (message: JsonObject) => void;
  readonly #asked = new Map<string, Asked>();

  constructor(send: (message: JsonObject) => void) {
    this.#send = send;
  }

  /** True when no more questions can be remembered. */
  get isFull(): boolean {
    return this.#asked.size >= MAX_ASKED;
  }

  ask(message: JsonObject, via: Via): void {
    const id = newId();
    this.#asked.set(id, { message, client: via.client, via });
    const outgoing = { ...message, id };
    if (via instanceof InFlight) {
      via.waitForClient();
      via.deliver(outgoing);
    } else {
      via.send(outgoing);
    }
  }

  /** Sends the client's answer to the upstream; false when this client was not asked under this id. */
  respond(client: ChannelClient, message: JsonObject): boolean {
    const id = message['id'];
    const asked = typeof id === 'string' ? this.#asked.get(id) : undefined;
    if (typeof id !== 'string' || asked === undefined || !isSame(asked.client, client)) {
      return false;
    }
    this.#forget(id, asked);
    this.#send({ ...message, id: asked.message['id'] });
    return true;
  }

  /** The upstream takes a request back (`notifications/cancelled`): the client that was asked is told. */
  cancel(message: JsonObject, params: JsonObject): void {
    for (const [id, asked] of this.#asked) {
      if (asked.message['id'] === params['requestId']) {
        this.#forget(id, asked);
        const outgoing = { ...message, params: { ...params, requestId: id } };
        if (asked.via instanceof InFlight) {
          asked.via.deliver(outgoing);
        } else {
          asked.via.send(outgoing);
        }
      }
    }
  }

  /** The stream is gone: nobody will answer what was asked on it, which the upstream is told. */
  abandon(via: Via): void {
    for (const { id } of this.take(via)) {
      this.#send(errorAnswer(id, -32603, 'the client went away before it answered'));
    }
  }

  /** The upstream's requests that were asked on this stream and are not answered; forgotten from now on. */
  take(via: Via): (JsonObject & { readonly id?: unknown })[] {
    const taken = [...this.#asked].filter(([, asked]) => asked.via === via);
    for (const [id] of taken) {
      this.#asked.delete(id);
    }
    return taken.map(([, { message }]) => message);
  }

  #forget(id: string, asked: Asked): void {
    this.#asked.delete(id);
    if (asked.via instanceof InFlight) {
      asked.via.stopWaitingForClient();
    }
  }
}

function isSame(asked: ChannelClient, client: ChannelClient): boolean {
  return asked.sessionId === client.sessionId && asked.principalId === client.principalId;
}
