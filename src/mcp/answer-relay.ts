import type { IncomingHttpHeaders } from 'node:http';
import type { OutcomeStatus } from '../domain/decision.ts';
import type { GatewayError } from '../domain/errors.ts';
import type { ForwardEnd } from '../pipeline/call.ts';
import { endedWithoutAnswer, notAnAnswer } from '../upstream/failure.ts';
import type { Exchange, ExchangeSink } from '../upstream/streamable.ts';
import { messageEvent } from './answer.ts';
import { EventStreamScan, statusOfAnswer } from './answer-scan.ts';
import type { ClientAnswer } from './client-answer.ts';
import { errorResponse, failureOf } from './errors.ts';
import { EventRewriter } from './event-rewriter.ts';
import type { JsonRpcId } from './json-rpc.ts';
import { MAX_REWRITTEN, type Rewrite, rewriteAnswer, tooLargeToRewrite } from './rewrite.ts';
import { isAnswerStatus, isJson, sessionLost, statusOfError } from './upstream-answer.ts';

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
  /** What the result goes through; absent = the bytes pass as they are. */
  readonly rewrite?: Rewrite | undefined;
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
  #rewriter: EventRewriter | undefined;
  /** `held`: collecting; `waiting`: may not send yet; `open`: bytes pass through; `over`: answered. */
  #state: 'held' | 'waiting' | 'open' | 'over' = 'held';
  #upstreamEnded = false;
  /** What broke the answer while it had to wait. */
  #brokenBy: GatewayError | undefined;
  /** Why nothing of the answer may pass, found out while it had to wait. */
  #refusedBy: unknown;
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
      const { slug, rewrite } = this.#options;
      this.#scan = new EventStreamScan();
      this.#rewriter = rewrite && new EventRewriter(slug, rewrite);
      this.#release(() => this.#openStream());
    }
  }

  onData(chunk: Buffer): boolean {
    this.#bytes += chunk.length;
    this.#scan?.feed(chunk);
    return this.#rewriter === undefined
      ? this.#pass(chunk)
      : this.#rewritten((rewriter) => this.#pass(rewriter.feed(chunk)));
  }

  #pass(bytes: Buffer): boolean {
    if (this.#state === 'open') {
      return bytes.length === 0 || this.#options.answer.write(bytes);
    }
    this.#held.push(bytes);
    if (this.#state === 'held' && this.#bytes > MAX_HELD && this.#options.rewrite === undefined) {
      this.#release(() => this.#openJson());
    } else if (this.#state === 'held' && this.#bytes > MAX_REWRITTEN) {
      this.#refuse(tooLargeToRewrite(this.#options.slug));
    }
    return this.#state !== 'waiting';
  }

  /** What cannot be rewritten does not pass; the client gets the error as its answer. */
  #rewritten(pass: (rewriter: EventRewriter) => boolean): boolean {
    try {
      return this.#rewriter === undefined || pass(this.#rewriter);
    } catch (error) {
      this.#refuse(error);
      return true;
    }
  }

  #refuse(error: unknown): void {
    const { answer, id } = this.#options;
    this.#exchange?.abort();
    if (this.#state === 'open') {
      answer.end(id === undefined ? '' : messageEvent(errorResponse(id, failureOf(error))));
      this.#finish(statusOfError(error));
    } else if (this.#state === 'held') {
      this.#release(() => this.#fail(error));
    } else if (this.#state === 'waiting') {
      this.#refusedBy = error;
    }
  }

  onEnd(): void {
    this.#upstreamEnded = true;
    this.#rewritten((rewriter) => this.#pass(rewriter.end()));
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
    // What is rewritten goes on in whole events.
    const isQuiet = () => this.#rewriter !== undefined || (this.#scan?.isBetweenEvents ?? false);
    this.#options.answer.startStream(isQuiet, this.#extra);
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
    if (this.#refusedBy !== undefined) {
      this.#refuse(this.#refusedBy);
    } else if (this.#brokenBy !== undefined) {
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
      this.#endBroken(endedWithoutAnswer(slug));
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
    try {
      answer.sendJson(this.#status, this.#whole(body), this.#extra);
      this.#finish(status);
    } catch (error) {
      this.#fail(error);
    }
  }

  #whole(body: Buffer): string | Buffer {
    const { slug, rewrite } = this.#options;
    return (rewrite && rewriteAnswer(slug, body.toString(), rewrite)) ?? body;
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
