import type { ConnectionSharing, Era } from '../domain/upstream.ts';
import type { Via } from './asked-clients.ts';
import { type ChannelClient, declaresCapability } from './channel.ts';
import type { InFlight } from './in-flight.ts';
import type { Listeners } from './listeners.ts';
import type { JsonObject } from './message.ts';

/** The gateway itself, for `initialize` and checks of its own; no message of the upstream is routed to it. */
export const GATEWAY_CLIENT: ChannelClient = { principalId: '', sessionId: '' };

/** Finds the client that a message of the upstream belongs to when it names no request (mcp.md, 9 and 18). */
export class Routes {
  /** Requests by their id at the upstream, oldest first. */
  readonly inFlight = new Map<number, InFlight>();
  readonly #era: Era;
  readonly #sharing: ConnectionSharing;
  readonly #listeners: Listeners;

  constructor(era: Era, sharing: ConnectionSharing, listeners: Listeners) {
    this.#era = era;
    this.#sharing = sharing;
    this.#listeners = listeners;
  }

  /** False when the upstream was told that no client has any capability. */
  get mayAsk(): boolean {
    return this.#era === 'legacy' && this.#sharing !== 'per_upstream';
  }

  /**
   * Who is asked: the oldest request in flight whose client declared the capability, rather one whose client was asked nothing yet, as a
   * call mostly asks once at a time; else such a client that listens.
   */
  pickFor(method: string): Via | undefined {
    if (!this.mayAsk) {
      return undefined;
    }
    let asked: InFlight | undefined;
    for (const request of this.inFlight.values()) {
      if (declaresCapability(request.client, method)) {
        if (!request.isWaitingForClient) {
          return request;
        }
        asked ??= request;
      }
    }
    if (asked !== undefined) {
      return asked;
    }
    for (const listener of this.#listeners.eachSession()) {
      if (declaresCapability(listener.client, method)) {
        return listener;
      }
    }
    return undefined;
  }

  /**
   * Delivers what concerns every client, such as a changed list; a client without a listening stream gets it with its call, if that is the
   * only one or the one on whose stream it came.
   */
  deliverToAll(message: JsonObject, requestId: number | undefined): void {
    if (this.#era === 'modern') {
      return; // only listen streams get it, by their subscription id
    }
    const sessions = new Set<string>();
    for (const listener of this.#listeners.eachSession()) {
      sessions.add(listener.client.sessionId);
      listener.send(message);
    }
    const single = requestId === undefined ? this.onlyOne(isCall) : this.inFlight.get(requestId);
    if (single !== undefined && isCall(single) && !sessions.has(single.client.sessionId)) {
      single.deliver(message);
    }
  }

  /** Delivers to the one call in flight, else to the listeners, who are one principal's, else to nobody. */
  deliverToOwner(message: JsonObject): void {
    const isLog = this.#era === 'modern' && message['method'] === 'notifications/message';
    const single = this.onlyOne(isLog ? (request) => request.wantsLog : isCall);
    if (single !== undefined) {
      single.deliver(message);
    } else if (this.#sharing !== 'per_upstream') {
      for (const listener of this.#listeners.eachSession()) {
        listener.send(message);
      }
    }
  }

  /** The one request in flight that matches; undefined when there are several. */
  onlyOne(matches: (request: InFlight) => boolean): InFlight | undefined {
    let found: InFlight | undefined;
    for (const request of this.inFlight.values()) {
      if (matches(request)) {
        if (found !== undefined) {
          return undefined;
        }
        found = request;
      }
    }
    return found;
  }

  /** The listen request with this id at the upstream. */
  findListen(id: unknown): InFlight | undefined {
    const request = typeof id === 'number' || typeof id === 'string' ? this.inFlight.get(Number(id)) : undefined;
    return request?.isListen === true ? request : undefined;
  }

  /** The request of a client by the client's own id. */
  findOf(client: ChannelClient, clientId: unknown): InFlight | undefined {
    return this.onlyOne(
      (request) =>
        request.clientId === clientId &&
        request.client.sessionId === client.sessionId &&
        request.client.principalId === client.principalId,
    );
  }
}

function isCall(request: InFlight): boolean {
  return request.client !== GATEWAY_CLIENT && request.client.isCatalogue !== true && !request.isListen;
}
