import { Socket } from 'node:net';
import pg from 'pg';

/** PostgreSQL ends a statement after this time, in milliseconds. */
const STATEMENT_TIMEOUT_MS = 10_000;

/**
 * A connection without a byte for this long is dropped, in milliseconds: longer than a statement may take and than an idle
 * connection is kept, so it is one whose other end is gone.
 */
export const SILENCE_TIMEOUT_MS = 20_000;

const CONNECT_TIMEOUT_MS = 5_000;

/** Times and counters come as numbers; what a number can not hold stays a bigint. Other users of `pg` keep their parsers. */
const types: pg.CustomTypesConfig = {
  getTypeParser: (type, format) =>
    type === pg.types.builtins.INT8 && format !== 'binary' ? parseInt8 : pg.types.getTypeParser(type, format),
};

function parseInt8(text: string): number | bigint {
  const value = Number(text);
  return Number.isSafeInteger(value) ? value : BigInt(text);
}

/** What every connection of the gateway has in common; `url` may name TLS and everything else `pg` understands. */
export function connectionConfig(url: string): pg.ClientConfig {
  return {
    connectionString: url,
    application_name: 'portcullis',
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    keepAlive: true,
    types,
    stream: openSocket,
  };
}

export interface PoolOptions {
  readonly max: number;
  /** False = statements may take any time, for migrations. */
  readonly timeouts: boolean;
  /** True = a statement is sent without waiting for the answer to the one before it; false by default. */
  readonly pipeline?: boolean;
  readonly onError: (error: unknown) => void;
}

/** A pool whose connections may die without taking the process along: waiting statements fail, the next one connects again. */
export function createPool(url: string, { max, timeouts, pipeline = false, onError }: PoolOptions): pg.Pool {
  const limits = { statement_timeout: STATEMENT_TIMEOUT_MS, idle_in_transaction_session_timeout: SILENCE_TIMEOUT_MS };
  const pool = new pg.Pool({
    ...connectionConfig(url),
    max,
    pipeline,
    ...(timeouts ? limits : { stream: () => new Socket() }),
  });
  pool.on('error', onError);
  // The pool listens for errors only while a connection is idle; one lost inside a transaction would end the process.
  pool.on('connect', (client) => client.on('error', onError));
  return pool;
}

function openSocket(): Socket {
  const socket = new Socket();
  socket.setTimeout(SILENCE_TIMEOUT_MS, () =>
    socket.destroy(new Error(`PostgreSQL sent nothing for ${SILENCE_TIMEOUT_MS} ms`)),
  );
  return socket;
}
