import type { JsonObject } from './message.ts';

/** Who speaks through a channel: one client session, or one request of a modern client. */
export interface ChannelClient {
  readonly principalId: string;
  readonly sessionId: string;
  /** What the client said in `initialize`; absent for modern clients. */
  readonly initializeParams?: JsonObject;
}

export interface ChannelRequestOptions {
  readonly client: ChannelClient;
  /** The client is gone: the upstream is told, and a late answer is dropped. */
  readonly signal: AbortSignal;
  /** Takes the messages that belong to this request and come before its answer: progress, log messages, requests of the upstream. */
  readonly onMessage: (message: JsonObject) => void;
}

/** A conversation with a stdio or SSE upstream, shared by the clients that its ConnectionSharing puts together. */
export interface Channel {
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
  /** Opens a stream for messages outside of requests; it survives a restart of the process. The result closes it; `onEnd` tells that the upstream was changed or removed. */
  attach(client: ChannelClient, listener: (message: JsonObject) => void, onEnd?: () => void): () => void;
}

/** True when a client declared the capability that a request of the upstream needs, such as `sampling` for `sampling/createMessage`. */
export function declaresCapability(client: ChannelClient, method: string): boolean {
  const capability = method.split('/')[0] ?? '';
  const declared = client.initializeParams?.['capabilities'];
  return typeof declared === 'object' && declared !== null && Object.hasOwn(declared, capability);
}
