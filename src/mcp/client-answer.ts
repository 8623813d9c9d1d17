import {
  isGone,
  keepAlive,
  messageEvent,
  onClose,
  sendEmpty,
  sendJson,
  startEventStream,
  writeChunk,
  writeEvent,
  writeHead,
} from './answer.ts';
import { errorResponse, type RpcError } from './errors.ts';
import type { HttpResponse } from './exchange.ts';
import type { JsonRpcId } from './json-rpc.ts';

type Headers = Record<string, string | number>;

/**
 * The answer to one request, from nothing sent to its end. Where it is an event stream already, as after a wait for an approval,
 * whatever comes is sent as events of that stream.
 */
export class ClientAnswer {
  readonly #response: HttpResponse;
  readonly #requestId: string;
  /** `json`: a JSON body that is passed on as it comes; `json_event`: the same as one event of a stream. */
  #form: 'none' | 'json' | 'stream' | 'json_event' = 'none';
  #isQuiet = always;
  #stopKeepAlive = nothing;

  constructor(response: HttpResponse, requestId: string) {
    this.#response = response;
    this.#requestId = requestId;
  }

  /** True when nobody takes the answer any more. */
  get isGone(): boolean {
    return isGone(this.#response);
  }

  /** Calls the listener when the exchange is over, at once when it is over already. */
  onClose(listener: () => void): void {
    onClose(this.#response, listener);
  }

  /** Calls the listener whenever more may be written after `write` returned false. */
  onDrain(listener: () => void): void {
    this.#response.on('drain', listener);
  }

  /** Sends a JSON-RPC message as all that was missing of the answer; without effect when it is complete. */
  sendJson(status: number, body: string | Buffer, extra?: Headers): void {
    if (this.#form === 'none') {
      sendJson(this.#response, this.#requestId, status, body, extra);
    } else if (this.#form === 'stream') {
      this.end(messageEvent(onOneLine(body)));
    }
  }

  /** Sends a JSON-RPC error as all that was missing of the answer. */
  sendError(id: JsonRpcId | null, error: RpcError, status = 200): void {
    this.sendJson(status, errorResponse(id, error));
  }

  /** Sends an answer without a body, such as 202 for a notification. */
  sendEmpty(status: number): void {
    sendEmpty(this.#response, this.#requestId, status);
  }

  /** Begins an event stream, or goes on with the one that is open; comments keep it alive whenever `isQuiet` says that no event is half written. */
  startStream(isQuiet: () => boolean = always, extra?: Headers): void {
    this.#isQuiet = isQuiet;
    if (this.#form === 'none' && !this.#response.headersSent && !this.#response.destroyed) {
      this.#form = 'stream';
      startEventStream(this.#response, this.#requestId, extra);
      this.#stopKeepAlive = keepAlive(this.#response, () => this.#isQuiet());
      onClose(this.#response, () => this.#stopKeepAlive());
    }
  }

  /** Begins a JSON answer that is passed on as it comes. */
  startJson(status: number, contentType: string, extra?: Headers): void {
    if (this.#form === 'stream') {
      this.#form = 'json_event';
      this.#stopKeepAlive();
      writeChunk(this.#response, EVENT_BEGIN);
    } else {
      this.#form = 'json';
      writeHead(this.#response, status, { 'content-type': contentType, 'x-request-id': this.#requestId, ...extra });
    }
  }

  /** Passes on bytes of what was begun; false = wait for `drain`. */
  write(chunk: Buffer): boolean {
    return writeChunk(this.#response, this.#form === 'json_event' ? spaced(chunk) : chunk);
  }

  /** Sends one JSON-RPC message on the open stream; a client that does not keep pace is cut off. */
  sendEvent(json: string): void {
    writeEvent(this.#response, messageEvent(json));
  }

  /** Ends the answer, after `last` where the stream has something left to say. */
  end(last = ''): void {
    this.#stopKeepAlive();
    if (!this.#response.destroyed && !this.#response.writableEnded) {
      this.#response.end(this.#form === 'json_event' ? EVENT_END : last);
    }
  }

  /** Cuts the answer short, so that the client does not take half of it for the whole. */
  cut(): void {
    this.#stopKeepAlive();
    this.#response.destroy();
  }
}

const EVENT_BEGIN = 'event: message\ndata: ';
const EVENT_END = '\n\n';

const LINE_FEED = 0x0a;
const CARRIAGE_RETURN = 0x0d;
const SPACE = 0x20;

function always(): boolean {
  return true;
}

function nothing(): void {}

/** JSON has line breaks between its tokens only, where a space means the same; in an event each would end the line. */
function onOneLine(json: string | Buffer): string {
  return typeof json === 'string' ? json.replaceAll(/[\r\n]/g, ' ') : spaced(json).toString();
}

function spaced(json: Buffer): Buffer {
  return json.includes(LINE_FEED) || json.includes(CARRIAGE_RETURN)
    ? Buffer.from(json.map((byte) => (byte === LINE_FEED || byte === CARRIAGE_RETURN ? SPACE : byte)))
    : json;
}
