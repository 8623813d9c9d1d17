import { Worker } from 'node:worker_threads';
import type { LogBatch } from './log-store.ts';

/** What the thread is asked: to commit a batch, or to end. */
export type LogThreadRequest = LogBatch | 'close';
/** What it answers to a batch: nothing, or why it is not stored. */
export type LogThreadReply = Error | undefined;

interface Waiting {
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

/**
 * Writes the decision log in a thread of its own, so that the disk's flush never stops the event loop: while one group is committed,
 * the next one gathers.
 */
export class SqliteLogThread {
  readonly #path: string;
  #worker: Worker | undefined;
  readonly #waiting: Waiting[] = [];

  constructor(path: string) {
    this.#path = path;
    this.#worker = this.#start();
  }

  /** Resolves when the batch is on disk; rejects with what SQLite threw, and then nothing of it is stored. */
  append(batch: LogBatch): Promise<void> {
    this.#worker ??= this.#start();
    this.#worker.postMessage(batch);
    return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }));
  }

  /** Closes the connection after the batches before it; resolves when the thread has ended. */
  async close(): Promise<void> {
    const worker = this.#worker;
    if (worker !== undefined) {
      const ended = new Promise((resolve) => worker.once('exit', resolve));
      worker.postMessage('close');
      await ended;
    }
  }

  #start(): Worker {
    const worker = new Worker(new URL('./sqlite-log-worker.ts', import.meta.url), { workerData: { path: this.#path } });
    worker.on('message', (reply: LogThreadReply) => {
      const waiting = this.#waiting.shift();
      if (reply === undefined) {
        waiting?.resolve();
      } else {
        waiting?.reject(reply);
      }
    });
    // A thread that dies takes its batches along; the next batch starts a new one.
    worker.on('error', (error) => this.#fail(error instanceof Error ? error : new Error(String(error))));
    worker.on('exit', () => this.#fail(new Error('the thread that writes the decision log ended')));
    return worker;
  }

  #fail(error: Error): void {
    this.#worker = undefined;
    for (const waiting of this.#waiting.splice(0)) {
      waiting.reject(error);
    }
  }
}
