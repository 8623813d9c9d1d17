import type { ChildProcessWithoutNullStreams } from 'node:child_process';
import { GatewayError } from '../domain/errors.ts';
import type { Upstream } from '../domain/upstream.ts';
import {
  type Connection,
  MAX_MESSAGE_BYTES,
  MAX_QUEUED_BYTES,
  type MessageListener,
  type UpstreamLog,
} from './connection.ts';
import { LineSplitter } from './line-splitter.ts';
import { type JsonObject, parseMessages } from './message.ts';

const STDERR_BYTES = 4096;
/** How long a process may take to end by itself, and then to obey SIGTERM. */
const GRACE_MS = 2000;
/** How long output may still come when the process itself is gone. */
const LAST_OUTPUT_MS = 500;

/** JSON may hold these as they are, but some servers' line readers take them for the end of a line. */
const LINE_SEPARATORS = /[\u2028\u2029]/g;

/**
 * Messages with a local process, one a line (specification 2025-11-25, basic/transports, section stdio). The process leads a
 * process group of its own; with it end all of its children.
 */
export class StdioConnection implements Connection {
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #slug: string;
  readonly #log: UpstreamLog;
  readonly #secrets: readonly string[];
  readonly #ended = Promise.withResolvers<void>();
  readonly #timers: NodeJS.Timeout[] = [];
  #onMessage: MessageListener = () => undefined;
  #onClose: (error: GatewayError) => void = () => undefined;
  #stderr = '';
  #failure: GatewayError | undefined;
  #isClosing = false;
  #isOver = false;

  /** Takes over a freshly spawned process; `secrets` are masked in whatever is shown of its stderr. */
  constructor(child: ChildProcessWithoutNullStreams, upstream: Upstream, log: UpstreamLog, secrets: readonly string[]) {
    this.#child = child;
    this.#slug = upstream.slug;
    this.#log = log;
    this.#secrets = secrets;
    this.#readOutput();
    this.#readErrors();
    child.stdin.on('error', () => undefined); // the exit that follows says more
    child.once('error', (cause) => this.#onSpawnError(cause));
    child.once('exit', () => this.#onExit());
    child.once('close', (code, signal) => this.#finish(this.#exited(code, signal)));
  }

  get ended(): Promise<void> {
    return this.#ended.promise;
  }

  send(message: JsonObject): Promise<void> {
    const { stdin } = this.#child;
    if (this.#failure !== undefined || this.#isClosing) {
      return Promise.reject(this.#failure ?? this.#exited(null, null));
    }
    const text = JSON.stringify(message);
    if (stdin.writableLength + text.length > MAX_QUEUED_BYTES) {
      const error = this.#error('does not take its input: too much waits for it. It was ended; check why it hangs.');
      this.abort(error);
      return Promise.reject(error);
    }
    stdin.write(`${text.replace(LINE_SEPARATORS, escaped)}\n`);
    return Promise.resolve();
  }

  onMessage(listener: MessageListener): void {
    this.#onMessage = listener;
  }

  onClose(listener: (error: GatewayError) => void): void {
    this.#onClose = listener;
    if (this.#isOver) {
      listener(this.#failure ?? this.#exited(null, null));
    }
  }

  /** Specification 2025-11-25, basic/lifecycle, section Shutdown: close stdin, then SIGTERM, then SIGKILL. */
  close(): Promise<void> {
    if (!this.#isClosing && !this.#isOver) {
      this.#isClosing = true;
      this.#child.stdin.end();
      this.#later(GRACE_MS, () => this.kill('SIGTERM'));
      this.#later(2 * GRACE_MS, () => this.kill('SIGKILL'));
    }
    return this.ended;
  }

  abort(error: GatewayError): void {
    this.#failure ??= error;
    this.kill('SIGKILL');
  }

  /** Signals the process and its children. */
  kill(signal: NodeJS.Signals): void {
    try {
      if (this.#child.pid !== undefined) {
        process.kill(-this.#child.pid, signal);
      }
    } catch {
      // Nothing of the group is left.
    }
  }

  #readOutput(): void {
    const lines = new LineSplitter(MAX_MESSAGE_BYTES, (line) => this.#onLine(line));
    this.#child.stdout.on('data', (chunk: Buffer) => {
      if (this.#failure === undefined && !lines.push(chunk)) {
        this.abort(
          this.#error(`sent a message of more than ${MAX_MESSAGE_BYTES / 1024 / 1024} MiB, and was ended for it.`),
        );
      }
    });
  }

  #onLine(line: string): void {
    const messages = parseMessages(line);
    if (messages.length === 0) {
      this.#log.debug({ upstream: this.#slug, bytes: line.length }, 'upstream process wrote what is not JSON-RPC');
    }
    for (const message of messages) {
      this.#onMessage(message);
    }
  }

  #readErrors(): void {
    const lines = new LineSplitter(STDERR_BYTES, (line) => {
      this.#log.debug({ upstream: this.#slug, line: this.#masked(line) }, 'upstream process wrote to stderr');
    });
    this.#child.stderr.on('data', (chunk: Buffer) => {
      this.#stderr = (this.#stderr + chunk.toString()).slice(-STDERR_BYTES);
      lines.push(chunk);
    });
  }

  #onSpawnError(cause: Error): void {
    if (this.#child.pid === undefined) {
      const message =
        'could not be started. Check that its command is installed for the gateway and that its working directory exists.';
      this.#finish(this.#error(message, cause));
    }
  }

  #onExit(): void {
    this.kill('SIGKILL');
    this.#later(LAST_OUTPUT_MS, () => {
      this.#child.stdout.destroy();
      this.#child.stderr.destroy();
    });
  }

  #finish(error: GatewayError): void {
    if (this.#isOver) {
      return;
    }
    this.#isOver = true;
    for (const timer of this.#timers) {
      clearTimeout(timer);
    }
    this.#failure ??= error;
    this.#ended.resolve();
    this.#onClose(this.#failure);
  }

  #exited(code: number | null, signal: NodeJS.Signals | null): GatewayError {
    if (this.#isClosing) {
      return new GatewayError('unavailable', `The process of the upstream "${this.#slug}" was ended. Repeat the call.`);
    }
    const how = signal === null ? `exited with code ${code ?? 'unknown'}` : `was killed by ${signal}`;
    const line = this.#masked(this.#stderr).trim().split('\n').at(-1)?.trim().slice(0, 300) ?? '';
    return this.#error(line === '' ? `${how} and said nothing on stderr. Check its command.` : `${how}: ${line}`);
  }

  #masked(text: string): string {
    return this.#secrets.reduce((masked, secret) => masked.replaceAll(secret, '***'), text);
  }

  #error(what: string, cause?: unknown): GatewayError {
    return new GatewayError('bad_gateway', `The process of the upstream "${this.#slug}" ${what}`, { cause });
  }

  #later(delayMs: number, action: () => void): void {
    this.#timers.push(setTimeout(action, delayMs));
  }
}

function escaped(separator: string): string {
  return separator === '\u2028' ? '\\u2028' : '\\u2029';
}
