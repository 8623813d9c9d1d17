import { parentPort, workerData } from 'node:worker_threads';
import { openSqliteConnection } from './sqlite-connection.ts';
import type { LogThreadReply, LogThreadRequest } from './sqlite-log-thread.ts';
import { createSqliteLogWriter } from './sqlite-log-writer.ts';

const database = openSqliteConnection((workerData as { readonly path: string }).path);
const writer = createSqliteLogWriter(database);

parentPort?.on('message', (request: LogThreadRequest) => {
  if (request === 'close') {
    database.close();
    parentPort?.close();
    return;
  }
  parentPort?.postMessage(write(request));
});

function write(batch: Exclude<LogThreadRequest, 'close'>): LogThreadReply {
  try {
    writer.append(batch);
    return undefined;
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
}
