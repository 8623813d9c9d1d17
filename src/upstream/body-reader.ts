import { createParser, type EventSourceParser } from 'eventsource-parser';
import { MAX_MESSAGE_BYTES } from './connection.ts';
import { type JsonObject, parseMessages } from './message.ts';

/**
 * Reads the messages in one HTTP body, which is JSON or an event stream (specification 2025-11-25, basic/transports, section Sending
 * Messages to the Server).
 */
export class BodyReader {
  readonly isStream: boolean;
  /** Where an event stream can be resumed. */
  lastEventId: string | undefined;
  /** How long the upstream wants a client to wait before it resumes. */
  retryMs: number | undefined;
  readonly #onMessage: (message: JsonObject) => void;
  readonly #decoder = new TextDecoder();
  readonly #parser: EventSourceParser | undefined;
  #text = '';
  #isTooLarge = false;

  constructor(contentType: string, onMessage: (message: JsonObject) => void) {
    this.#onMessage = onMessage;
    this.isStream = contentType.startsWith('text/event-stream');
    this.#parser = this.isStream ? this.#createParser() : undefined;
  }

  /** Takes a part of the body; false when a message is too large, after which nothing more is read. */
  read(chunk: Buffer): boolean {
    if (this.#isTooLarge) {
      return false;
    }
    const part = this.#decoder.decode(chunk, { stream: true });
    if (this.#parser === undefined) {
      this.#text += part;
      this.#isTooLarge = this.#text.length > MAX_MESSAGE_BYTES;
    } else {
      this.#parser.feed(part);
    }
    return !this.#isTooLarge;
  }

  /** The body is complete; the last event of a stream counts only with its blank line. */
  end(): void {
    if (this.#text !== '' && !this.#isTooLarge) {
      this.#take(this.#text);
    }
  }

  #createParser(): EventSourceParser {
    return createParser({
      maxBufferSize: MAX_MESSAGE_BYTES,
      onEvent: ({ event, data }) => {
        if (data !== '' && (event ?? 'message') === 'message') {
          this.#take(data);
        }
      },
      onId: (id) => {
        this.lastEventId = id === '' ? undefined : id;
      },
      onRetry: (retryMs) => {
        this.retryMs = retryMs;
      },
      onError: ({ type }) => {
        this.#isTooLarge ||= type === 'max-buffer-size-exceeded';
      },
    });
  }

  #take(json: string): void {
    for (const message of parseMessages(json)) {
      this.#onMessage(message);
    }
  }
}
