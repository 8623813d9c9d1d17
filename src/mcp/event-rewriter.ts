import { MAX_REWRITTEN, type Rewrite, rewriteAnswer, tooLargeToRewrite } from './rewrite.ts';

/** Two line ends in a row end an event (HTML standard, section Server-sent events); `\r\n` is one. */
const EVENT_END = /(?:\r\n|\n|\r(?!\n)){2}/;
/** Behind the end of an event; more line ends belong to it. */
const EACH_EVENT = /(?<=(?:\r\n|\n|\r(?!\n)){2})(?![\r\n])/;
const LINE_END = /\r\n|\n|\r/;

/**
 * Rewrites the answers in an event stream that passes through: each event goes on when it is complete, with its own bytes unless its
 * result is another one now.
 */
export class EventRewriter {
  readonly #slug: string;
  readonly #rewrite: Rewrite;
  readonly #decoder = new TextDecoder();
  /** Pieces of an event that is not complete. */
  #pieces: string[] = [];
  #length = 0;
  /** The end of the last piece, where a line end may be cut in two. */
  #tail = '';

  constructor(slug: string, rewrite: Rewrite) {
    this.#slug = slug;
    this.#rewrite = rewrite;
  }

  /** What may go on now; throws `bad_gateway` when an event is too large or its answer cannot be read. */
  feed(chunk: Buffer): Buffer {
    const piece = this.#decoder.decode(chunk, { stream: true });
    const isOver = (this.#tail + piece).search(EVENT_END) !== -1;
    const text = isOver ? this.#take() + piece : '';
    const end = isOver ? endOfLast(text) : 0;
    this.#keep(isOver ? text.slice(end) : piece);
    if (this.#length > MAX_REWRITTEN) {
      throw tooLargeToRewrite(this.#slug);
    }
    const events = text.slice(0, end).split(EACH_EVENT);
    return Buffer.from(events.map((event) => this.#event(event)).join(''));
  }

  /** What is left when the stream has ended. */
  end(): Buffer {
    return Buffer.from(this.#event(this.#take()));
  }

  #keep(piece: string): void {
    this.#pieces.push(piece);
    this.#length += piece.length;
    this.#tail = (this.#tail + piece).slice(-3);
  }

  #take(): string {
    const text = this.#pieces.join('');
    this.#pieces = [];
    this.#length = 0;
    this.#tail = '';
    return text;
  }

  /** The event as it goes on, its end included. */
  #event(text: string): string {
    // An answer has a result, whose key may be written with escapes.
    if (!text.includes('result') && !text.includes('\\u')) {
      return text;
    }
    const lines = text.split(LINE_END);
    const data = lines.filter(isData).map(valueOf).join('\n');
    const rewritten = data.trim() === '' ? undefined : rewriteAnswer(this.#slug, data, this.#rewrite);
    if (rewritten === undefined) {
      return text;
    }
    const others = lines.filter((line) => line !== '' && !isData(line));
    return `${[...others, `data: ${rewritten}`].join('\n')}\n\n`;
  }
}

function isData(line: string): boolean {
  return line === 'data' || line.startsWith('data:');
}

function valueOf(line: string): string {
  return line.slice('data:'.length).replace(/^ /, '');
}

function endOfLast(text: string): number {
  let end = 0;
  for (const { index, 0: found } of text.matchAll(new RegExp(EVENT_END, 'g'))) {
    end = index + found.length;
  }
  return end;
}
