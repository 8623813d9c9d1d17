import { connect, type Socket } from 'node:net';

/** Called with the text of the whole answer, header section included. */
export type AnswerListener = (answer: string) => void;

const CONTENT_LENGTH = /\r\ncontent-length: *(\d+)/i;
const CHUNKED = /\r\ntransfer-encoding: *chunked/i;

/** True when `text` holds one whole HTTP/1.1 response, by Content-Length or by its last chunk (RFC 9112 section 6.3). */
export function isWholeAnswer(text: string): boolean {
  const end = text.indexOf('\r\n\r\n');
  if (end < 0) return false;
  const head = text.slice(0, end);
  if (CHUNKED.test(head)) return text.endsWith('0\r\n\r\n') && text.length > end + 4;
  const length = CONTENT_LENGTH.exec(head)?.[1] ?? '0';
  return text.length >= end + 4 + Number(length);
}

/** One keep-alive connection with one request at a time, cheap enough not to disturb what it measures. */
export class HttpConnection {
  readonly #socket: Socket;
  #received = '';
  #listener: AnswerListener | undefined;

  /** `onClose` is told when the server closes the connection, with true when a request was under way. */
  constructor(port: number, onClose: (wasBusy: boolean) => void) {
    this.#socket = connect({ port, host: '127.0.0.1', noDelay: true });
    this.#socket.on('data', (chunk) => this.#read(chunk));
    this.#socket.on('error', () => {});
    this.#socket.on('close', () => onClose(this.#listener !== undefined));
  }

  /** Sends the bytes of one request; the connection must be idle. */
  send(request: Buffer, listener: AnswerListener): void {
    this.#listener = listener;
    this.#socket.write(request);
  }

  /** Closes the connection at once. */
  close(): void {
    this.#socket.destroy();
  }

  #read(chunk: Buffer): void {
    this.#received += chunk.toString('latin1');
    if (!isWholeAnswer(this.#received)) return;
    const answer = this.#received;
    const listener = this.#listener;
    this.#received = '';
    this.#listener = undefined;
    listener?.(answer);
  }
}
