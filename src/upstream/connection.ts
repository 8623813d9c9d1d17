import type { Logger } from 'pino';
import type { GatewayError } from '../domain/errors.ts';

/** The part of the logger that upstream connections use. */
export type UpstreamLog = Pick<Logger, 'debug' | 'warn'>;

/** A two-way stream of JSON-RPC messages with an upstream: a stdio process, or an SSE stream and its POST endpoint. */
export interface Connection {
  /** Resolves when the message was taken over; rejects with a GatewayError when this one message could not be delivered. */
  send(message: string): Promise<void>;
  /** The one taker of the upstream's messages, in their order; set before the first turn of the event loop. */
  onMessage(listener: (text: string) => void): void;
  /** Called once when the connection is over, whoever ended it; also when it was over before. */
  onClose(listener: (error: GatewayError) => void): void;
  /** Ends the connection in good order; resolves when nothing of it is left. */
  close(): Promise<void>;
  /** Ends the connection at once, with this error for `onClose`. */
  abort(error: GatewayError): void;
}

/** Largest message of an upstream, in bytes. */
export const MAX_MESSAGE_BYTES = 16 * 1024 * 1024;

/** Most bytes that may wait to be taken by an upstream. */
export const MAX_QUEUED_BYTES = 16 * 1024 * 1024;
