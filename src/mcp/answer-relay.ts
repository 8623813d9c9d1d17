import type { IncomingHttpHeaders } from 'node:http';
import type { OutcomeStatus } from '../domain/decision.ts';
import { GatewayError } from '../domain/errors.ts';
import type { ForwardEnd } from '../pipeline/call.ts';
import type { Exchange, ExchangeSink } from '../upstream/streamable.ts';
import { messageEvent } from './answer.ts';
import { EventStreamScan, statusOfAnswer } from './answer-scan.ts';
import type { ClientAnswer } from './client-answer.ts';
import { errorResponse, failureOf } from './errors.ts';
import type { JsonRpcId } from './json-rpc.ts';
import { isAnswerStatus, isJson, notAnAnswer, sessionLost, statusOfError } from './upstream-answer.ts';

type ExtraHeaders = (status: number, headers: IncomingHttpHeaders) => Promise<Record<string, string>> | undefined;

export interface AnswerRelayOptions {
  readonly answer: ClientAnswer;
  /** Id of the request that is answered; undefined for a notification, a response, GET and DELETE. */
  readonly id: JsonRpcId | undefined;
  readonly slug: string;
  /** True when the request belongs to a legacy session, which the upstream may have lost. */
  readonly hasSession: boolean;
  /** Must resolve before a byte of the answer leaves; its rejection becomes the answer. */
  readonly before?: Promise<unknown> | undefined;
  /** Headers to add to the answer, asked for once the upstream's head is there, such as the client's session id. */
  readonly extraHeaders?: ExtraHeaders | undefined;
}

/** Longest JSON answer that is held until it is complete, in bytes; a longer one is passed on as it comes. */
const MAX_HELD = 64 * 1024;

/**
 * Passes one upstream HTTP answer to the client byte for byte: JSON whole, event streams event by event. What is no MCP answer at all
 * (garbage, 5xx, a broken stream) becomes a JSON-RPC error.
 */
export class AnswerRelay implements ExchangeSink {
  readonly #options: AnswerRelayOptions;
  readonly #done: (end: ForwardEnd) => void;
  #exchange: Exchange | undefined;
  #status = 0;
  #contentType = '';
  #bytes = 0;
  #held: Buffer[] = [];
  #scan: EventStreamScan | undefined;
  /** `held`: collecting; `waiting`: may not send yet; `open`: bytes pass through; `over`: answered. */
  #state: 'held' | 'waiting' | 'open' | 'over' = 'held';
  #upstreamEnded = false;
  /** What broke the answer while it had to wait. */
  #brokenBy: GatewayError | undefined;
  #before: Promise<unknown> | undefined;
  #extra: Record<string, string> | undefined;

  constructor(options: AnswerRelayOptions, done: (end: ForwardEnd) => void) {
    this.#options = options;
    this.#done = done;
    this.#before = options.before;
  }

  /** Ties the relay to its exchange: a client that goes away aborts it (mcp.md, 8). */
  attach(exchange: Exchange): void {
    this.#exchange = exchange;
    this.#options.answer.onClose(() => {
      if (this.#state !== 'over') {
        exchange.abort();
        this.#finish('canceled');
      }
    });
  }

  onResponse(status: number, headers: IncomingHttpHeaders): void {
    this.#status = status;
    this.#contentType = headers['content-type'] ?? '';
    const extra = this.#options.extraHeaders?.(status, headers);
    if (extra !== undefined) {
      const wait = extra.then((resolved) => {
        this.#extra = resolved;
      });
      this.#before = this.#before === undefined ? wait : Promise.all([this.#before, wait]);
      // It may reject before the answer waits for it.
      this.#before.catch(() => {});
    }
    if (status === 200 && this.#contentType.startsWith('text/event-stream')) {
      this.#scan = new EventStreamScan();
      this.#release(() => this.#openStream());
    }
  }

  onData(chunk: Buffer): boolean {
    this.#bytes += chunk.length;
    this.#scan?.feed(chunk);
    if (this.#state === 'open') {
      return this.#options.answer.write(chunk);
    }
    this.#held.push(chunk);
    if (this.#state === 'held' && this.#bytes > MAX_HELD) {
      this.#release(() => this.#openJson());
    }
    return this.#state !== 'waiting';
  }

  onEnd(): void {
    this.#upstreamEnded = true;
    if (this.#state === 'held') {
      this.#release(() => this.#answerHeld());
    } else if (this.#state === 'open') {
      this.#endOpen();
    }
  }

  onError(error: GatewayError): void {
    this.#upstreamEnded = true;
    if (this.#state === 'open') {
      this.#endBroken(error);
    } else if (this.#state === 'waiting') {
      this.#brokenBy = error;
    } else if (this.#state === 'held') {
      this.#release(() => this.#fail(error));
    }
  }

  /** Runs `next` as soon as bytes may leave; at once when there is nothing to wait for. */
  #release(next: () => void): void {
    const before = this.#before;
    if (before === undefined) {
      next();
      return;
    }
    this.#state = 'waiting';
    before.then(
      () => this.#state !== 'over' && next(),
      (error: unknown) => {
        if (this.#state !== 'over') {
          this.#exchange?.abort();
          this.#fail(error);
        }
      },
    );
  }

  #openStream(): void {
    this.#options.answer.startStream(() => this.#scan?.isBetweenEvents ?? false, this.#extra);
    this.#passThrough();
  }

  #openJson(): void {
    if (!isJson(this.#contentType) || !isAnswerStatus(this.#status)) {
      this.#exchange?.abort();
      this.#fail(notAnAnswer(this.#options.slug, this.#status, this.#contentType));
      return;
    }
    this.#options.answer.startJson(this.#status, this.#contentType, this.#extra);
    this.#passThrough();
  }

  #passThrough(): void {
    const { answer } = this.#options;
    this.#state = 'open';
    answer.onDrain(() => this.#exchange?.resume());
    const held = this.#held;
    this.#held = [];
    const flowing = held.map((chunk) => answer.write(chunk)).every(Boolean);
    if (this.#brokenBy !== undefined) {
      this.#endBroken(this.#brokenBy);
    } else if (this.#upstreamEnded) {
      this.#endOpen();
    } else if (flowing) {
      this.#exchange?.resume();
    }
  }

  #endOpen(): void {
    const { id, slug } = this.#options;
    const unanswered = this.#scan !== undefined && id !== undefined && this.#scan.status === undefined;
    if (unanswered && !this.#scan?.isResumable) {
      this.#endBroken(new GatewayError('bad_gateway', `The upstream "${slug}" ended its stream without an answer.`));
      return;
    }
    this.#options.answer.end();
    this.#finish(this.#scan?.status ?? 'ok');
  }

  /** A stream that broke off after bytes have left: a client that cannot resume gets the error as its answer. */
  #endBroken(error: GatewayError): void {
    const { answer, id } = this.#options;
    if (this.#scan === undefined || (id !== undefined && this.#scan.isResumable)) {
      // Cut short, so that the client does not take half an answer for a whole one.
      answer.cut();
    } else {
      const gap = this.#scan.isBetweenEvents ? '' : '\n\n';
      answer.end(id === undefined ? '' : gap + messageEvent(errorResponse(id, failureOf(error))));
    }
    this.#finish(statusOfError(error));
  }

  #answerHeld(): void {
    const { answer, id, slug } = this.#options;
    const body = this.#held.length === 1 ? (this.#held[0] as Buffer) : Buffer.concat(this.#held);
    if (id === undefined) {
      this.#answerWithoutId(body);
      return;
    }
    const status =
      isJson(this.#contentType) && isAnswerStatus(this.#status) ? statusOfAnswer(body.toString()) : undefined;
    if (status === undefined && this.#status === 404 && this.#options.hasSession) {
      answer.sendError(id, sessionLost, 404);
      this.#finish('rpc_error');
      return;
    }
    if (status === undefined) {
      this.#fail(notAnAnswer(slug, this.#status, this.#contentType));
      return;
    }
    answer.sendJson(this.#status, body, this.#extra);
    this.#finish(status);
  }

  /** To a notification, a response, GET or DELETE the upstream answers with a status, and with a body only for an error. */
  #answerWithoutId(body: Buffer): void {
    const { answer, slug } = this.#options;
    if (this.#status < 300) {
      answer.sendEmpty(this.#status === 200 ? 202 : this.#status);
    } else if (isAnswerStatus(this.#status)) {
      answer.sendJson(this.#status, isJson(this.#contentType) ? body : '', this.#extra);
    } else {
      this.#fail(notAnAnswer(slug, this.#status, this.#contentType));
      return;
    }
    this.#finish('ok');
  }

  #fail(error: unknown): void {
    const { answer, id } = this.#options;
    const text = errorResponse(id ?? null, failureOf(error));
    answer.sendJson(id === undefined ? 502 : 200, text, this.#extra);
    this.#finish(statusOfError(error));
  }

  #finish(status: OutcomeStatus): void {
    this.#state = 'over';
    this.#held = [];
    this.#done({ status, responseBytes: this.#bytes });
  }
}
