import type { Logger } from 'pino';
import type { GatewayError } from '../domain/errors.ts';
import type { JsonObject } from './message.ts';

/** The part of the logger that upstream connections use. */
export type UpstreamLog = Pick<Logger, 'debug' | 'warn'>;

/** A two-way stream of JSON-RPC messages with an upstream, whatever carries them. */
export interface Connection {
  /**
   * Resolves when the message was taken over, or, where each request is an exchange of its own, when that has its answer. Rejects with
   * a GatewayError when this one message could not be delivered or answered.
   */
  send(message: JsonObject, headers?: Readonly<Record<string, string>>): Promise<void>;
  /** The one taker of the upstream's messages, in their order; set before the first turn of the event loop. */
  onMessage(listener: MessageListener): void;
  /** Called once when the connection is over, whoever ended it; also when it was over before. */
  onClose(listener: (error: GatewayError) => void): void;
  /** Ends the connection in good order; resolves when nothing of it is left. */
  close(): Promise<void>;
  /** Ends the connection at once, with this error for `onClose`. */
  abort(error: GatewayError): void;
  /** Present when each request is an exchange of its own. */
  readonly exchanges?: ConnectionExchanges;
}

/** Takes a message of the upstream; `requestId` is that of the request on whose own stream it came, if it came on one. */
export type MessageListener = (message: JsonObject, requestId?: number) => void;

/** What is known of a connection, and wanted from it, when its requests do not share one stream. */
export interface ConnectionExchanges {
  /** Nobody waits for the answer to this request any more: its exchange ends, unless it is over. */
  release(requestId: number): void;
  /** Whether messages outside of requests are wanted: then a stream is kept open for them. */
  listen(isWanted: boolean): void;
  /** Whoever is told what the exchanges show; set before the first turn of the event loop. */
  observe(observer: ExchangeObserver): void;
}

/** Is told what the exchanges of a connection show. */
export interface ExchangeObserver {
  /** Something came for this request, be it half a message: the upstream is not silent. */
  onActivity(requestId: number): void;
  /** The stream for messages outside of requests is open after it was not for a while, so that some may be lost. */
  onGap(): void;
  /** There is no stream for messages outside of requests: the upstream has none, or it is broken and cannot be resumed. */
  onDeaf(): void;
  /** The upstream no longer knows the session. What is in flight may still end well; nothing new should be sent. */
  onLost(error: GatewayError): void;
}

/** Largest message of an upstream, in bytes. */
export const MAX_MESSAGE_BYTES = 16 * 1024 * 1024;

/** Most bytes that may wait to be taken by an upstream. */
export const MAX_QUEUED_BYTES = 16 * 1024 * 1024;
