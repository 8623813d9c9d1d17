import { Worker } from 'node:worker_threads';
import type { LogBatch } from './log-store.ts';
import { encodeBatch, type LogThreadReply } from './sqlite-log-message.ts';

/**
 * Writes the decision log in a thread of its own, so that the disk's flush never stops the event loop. The thread starts with the
 * first batch.
 */
export class SqliteLogThread {
  readonly #path: string;
  #worker: Worker | undefined;
  /** The one batch the thread works on. */
  #waiting: PromiseWithResolvers<void> | undefined;

  constructor(path: string) {
    this.#path = path;
  }

  /** Resolves when the batch is on disk; rejects with what SQLite threw, and then nothing of it is stored. One batch at a time. */
  append(batch: LogBatch): Promise<void> {
    this.#waiting = Promise.withResolvers<void>();
    this.#worker ??= this.#start();
    this.#worker.postMessage(encodeBatch(batch));
    return this.#waiting.promise;
  }

  /** Closes the connection after the batch before it; resolves when the thread has ended. */
  async close(): Promise<void> {
    const worker = this.#worker;
    if (worker !== undefined) {
      const ended = new Promise((resolve) => worker.once('exit', resolve));
      worker.postMessage('close');
      await ended;
    }
  }

  #start(): Worker {
    const worker = new Worker(new URL('./sqlite-log-worker.ts', import.meta.url), {
      workerData: { path: this.#path },
    });
    worker.on('message', (error: LogThreadReply) => this.#take(error));
    // A thread that dies takes its batch along; the next batch starts a new one.
    worker.on('error', (error) => this.#fail(worker, error instanceof Error ? error : new Error(String(error))));
    worker.on('exit', () => this.#fail(worker, new Error('the thread that writes the decision log ended')));
    return worker;
  }

  #take(error: LogThreadReply): void {
    if (error === undefined) {
      this.#waiting?.resolve();
    } else {
      this.#waiting?.reject(error);
    }
  }

  #fail(worker: Worker, error: Error): void {
    // Its `exit` comes after its `error`: by then another thread may have begun, and what waits is that one's.
    if (this.#worker === worker) {
      this.#worker = undefined;
      this.#waiting?.reject(error);
    }
  }
}
