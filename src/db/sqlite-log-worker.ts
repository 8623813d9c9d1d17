import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import { openSqliteConnection } from './sqlite-connection.ts';
import { decodeBatch, type LogThreadReply, type LogThreadRequest } from './sqlite-log-message.ts';
import { createSqliteLogWriter } from './sqlite-log-writer.ts';

/** Rows of a commit from which on calls come fast enough for the next one to be worth waiting for. */
const BUSY_ROWS = 3;
/** Rest for each row of the last commit: about the time the gateway needs for one call. */
const REST_MS_PER_ROW = 0.05;
const LONGEST_REST_MS = 1;

/**
 * Runs in the thread of a SqliteLogThread: commits what it is sent. Under load it rests after a commit until about as many calls have
 * arrived as that one held, because a commit costs the same for one row as for sixty; rare calls are committed at once.
 */
function serve(port: MessagePort, path: string): void {
  const database = openSqliteConnection(path);
  const writer = createSqliteLogWriter(database);
  const sleeper = new Int32Array(new SharedArrayBuffer(4));

  port.on('message', (request: LogThreadRequest) => {
    if (request === 'close') {
      database.close();
      port.close();
      return;
    }
    const batch = decodeBatch(request);
    const rows = batch.decisions.length;
    const rest = rows < BUSY_ROWS ? 0 : Math.min(rows * REST_MS_PER_ROW, LONGEST_REST_MS);
    reply({ kind: 'committed', error: tryTo(() => writer.append(batch)), isReady: rest === 0 });
    if (rest > 0) {
      Atomics.wait(sleeper, 0, 0, rest);
      reply({ kind: 'ready' });
    }
  });

  function reply(message: LogThreadReply): void {
    port.postMessage(message);
  }
}

function tryTo(action: () => void): Error | undefined {
  try {
    action();
    return undefined;
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
}

if (parentPort !== null) {
  serve(parentPort, (workerData as { readonly path: string }).path);
}
