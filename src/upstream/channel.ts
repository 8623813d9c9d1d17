import type { Era } from '../domain/upstream.ts';
import type { JsonObject } from './message.ts';

/** Who speaks through a channel: one client session, or one request of a modern client. */
export interface ChannelClient {
  readonly principalId: string;
  readonly sessionId: string;
  /** What the client said in `initialize`; absent for modern clients. */
  readonly initializeParams?: JsonObject;
  /** The gateway's own reading of lists: nothing that the upstream asks, and no log message, is for it. */
  readonly isCatalogue?: boolean;
}

export interface ChannelRequestOptions {
  readonly client: ChannelClient;
  /** The client is gone: the upstream is told, and a late answer is dropped. */
  readonly signal: AbortSignal;
  /** Takes the messages that belong to this request and come before its answer: progress, log messages, requests of the upstream. */
  readonly onMessage: (message: JsonObject) => void;
  /** Longest silence of the upstream, in milliseconds, instead of the upstream's own. */
  readonly timeoutMs?: number;
  /** Headers besides those that the message implies, such as `Mcp-Param-*`; only streamable HTTP has any. */
  readonly headers?: Readonly<Record<string, string>>;
}

/** A stream of a client for what the upstream says outside of requests; nothing comes in the modern era, which has `subscriptions/listen`. */
export interface ChannelListener {
  send(message: JsonObject): void;
  /** The upstream was changed or removed; nothing more will come. */
  onEnd?(): void;
  /** The connection was lost and made anew: what was said meanwhile is lost, so lists may have changed. */
  onReopen?(): void;
  /** Nothing is heard outside of requests, until `onReopen`: the connection or its stream was lost or made room, or there is no such stream (HTTP 405). */
  onDeaf?(): void;
}

/** A conversation with an upstream over any transport, shared by the clients that its ConnectionSharing puts together. */
export interface Channel {
  /** The era in which it speaks with the upstream; requests have to be of that era. */
  readonly era: Era;
  /** The result of the upstream's `initialize`; undefined in the modern era, which has none. */
  readonly initializeResult: JsonObject | undefined;
  /**
   * Sends a client's request and resolves with the answer, result or error, under the client's own id. Rejects with
   * `upstream_timeout`, `bad_gateway`, `unavailable` or, when the client cancelled it or went away, `canceled`.
   */
  request(message: JsonObject, options: ChannelRequestOptions): Promise<JsonObject>;
  /** Sends a client's notification. */
  notify(client: ChannelClient, message: JsonObject): void;
  /** Hands a client's answer to the upstream that asked; false when this client was asked nothing of that id. */
  respond(client: ChannelClient, message: JsonObject): boolean;
  /** Opens a stream for messages outside of requests; it outlives the connection. The result closes it. */
  attach(client: ChannelClient, listener: ChannelListener): () => void;
}

/** True when a client declared the capability that a request of the upstream needs, such as `sampling` for `sampling/createMessage`. */
export function declaresCapability(client: ChannelClient, method: string): boolean {
  if (client.isCatalogue === true) {
    return false;
  }
  const capability = method.split('/')[0] ?? '';
  const declared = client.initializeParams?.['capabilities'];
  return typeof declared === 'object' && declared !== null && Object.hasOwn(declared, capability);
}
