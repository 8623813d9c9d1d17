import { createParser, type EventSourceParser } from 'eventsource-parser';
import type { OutcomeStatus } from '../domain/decision.ts';
import type { JsonObject } from './json-rpc.ts';

/** Longest text that is parsed again to learn how a call ended; a longer answer counts as ok. */
const MAX_SCANNED = 256 * 1024;
/** Longest event that is read along; a stream with a longer one passes through unread, and counts as ok. */
const MAX_EVENT = 4 * 1024 * 1024;

/** How a call ended, by the upstream's JSON-RPC answer; undefined when the text is not one. */
export function statusOfAnswer(text: string): OutcomeStatus | undefined {
  if (text.length > MAX_SCANNED) {
    return 'ok';
  }
  const answer = parseObject(text);
  return answer === undefined ? undefined : statusOfMessage(answer);
}

/** How a call ended, by the upstream's JSON-RPC answer; undefined when it is neither a result nor an error. */
export function statusOfMessage(answer: JsonObject): OutcomeStatus | undefined {
  if (answer['error'] !== undefined) {
    return 'rpc_error';
  }
  const result = answer['result'] as JsonObject | null | undefined;
  if (result === undefined || result === null || typeof result !== 'object') {
    return undefined;
  }
  if (result['resultType'] === 'input_required') {
    return 'input_required';
  }
  return result['isError'] === true ? 'tool_error' : 'ok';
}

function parseObject(text: string): JsonObject | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return value !== null && typeof value === 'object' && !Array.isArray(value) ? (value as JsonObject) : undefined;
  } catch {
    return undefined;
  }
}

/** Reads along an event stream that passes through unchanged, to learn whether and how it answered. */
export class EventStreamScan {
  readonly #parser: EventSourceParser;
  readonly #decoder = new TextDecoder();
  #status: OutcomeStatus | undefined;
  #hasEventIds = false;
  #isTooLarge = false;
  #tail = '';

  constructor() {
    this.#parser = createParser({
      maxBufferSize: MAX_EVENT,
      onError: (error) => {
        this.#isTooLarge ||= error.type === 'max-buffer-size-exceeded';
      },
      onEvent: (event) => {
        this.#hasEventIds ||= event.id !== undefined;
        // Requests and notifications of the upstream have a method; only the answer has none.
        if (event.data.includes('"result"') || event.data.includes('"error"')) {
          this.#status = isAnswer(event.data) ? statusOfAnswer(event.data) : this.#status;
        }
      },
    });
  }

  feed(chunk: Buffer): void {
    const text = this.#decoder.decode(chunk, { stream: true });
    if (!this.#isTooLarge) {
      this.#parser.feed(text);
    }
    this.#tail = (this.#tail + text).slice(-4);
  }

  /** How the call ended; undefined while no answer was seen. */
  get status(): OutcomeStatus | undefined {
    return this.#status ?? (this.#isTooLarge ? 'ok' : undefined);
  }

  /** True when the client can resume this stream, so that its end without an answer is no failure. */
  get isResumable(): boolean {
    return this.#hasEventIds;
  }

  /** True when the last byte ended an event, so that a comment may be put here. */
  get isBetweenEvents(): boolean {
    return this.#tail === '' || this.#tail.endsWith('\n\n') || this.#tail.endsWith('\r\n\r\n');
  }
}

function isAnswer(data: string): boolean {
  return data.length > MAX_SCANNED || parseObject(data)?.['method'] === undefined;
}
