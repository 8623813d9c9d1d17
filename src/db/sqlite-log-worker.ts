import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import { openSqliteConnection } from './sqlite-connection.ts';
import { decodeBatch, type LogThreadReply, type LogThreadRequest } from './sqlite-log-message.ts';
import { createSqliteLogWriter } from './sqlite-log-writer.ts';

/** Runs in the thread of a SqliteLogThread: commits one batch after the other. */
function serve(port: MessagePort, path: string): void {
  const database = openSqliteConnection(path);
  const writer = createSqliteLogWriter(database);
  port.on('message', (request: LogThreadRequest) => {
    if (request === 'close') {
      database.close();
      port.close();
    } else {
      port.postMessage(tryTo(() => writer.append(decodeBatch(request))) satisfies LogThreadReply);
    }
  });
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
