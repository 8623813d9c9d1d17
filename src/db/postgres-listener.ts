import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { connectionConfig, SILENCE_TIMEOUT_MS } from './postgres-pool.ts';

/** Pauses between attempts to connect again, in milliseconds; the last one repeats. */
const RECONNECT_MS = [50, 200, 500, 1_000, 2_000];

/** A connection that only listens says something this often, so that a dead one is noticed. */
const HEARTBEAT_MS = SILENCE_TIMEOUT_MS / 2;

export interface PostgresListenerOptions {
  readonly channels: readonly string[];
  /** Hears notifications; after a reconnect it is called once for each channel, because some may have been missed. */
  readonly onNotify: (channel: string, payload: string) => void;
  readonly onError: (error: unknown) => void;
}

/** A connection that listens until it is closed, and connects again whenever it is lost. */
export interface PostgresListener {
  close(): Promise<void>;
}

/** Starts to listen; resolves once it does, throws what the driver threw when the first attempt fails. */
export async function createPostgresListener(
  url: string,
  { channels, onNotify, onError }: PostgresListenerOptions,
): Promise<PostgresListener> {
  const closing = new AbortController();
  let client: pg.Client;

  const connect = async () => {
    const next = new pg.Client(connectionConfig(url));
    next.on('error', onError);
    next.on('notification', (message) => onNotify(message.channel, message.payload ?? ''));
    try {
      await next.connect();
      for (const channel of channels) await next.query(`listen ${pg.escapeIdentifier(channel)}`);
    } catch (error) {
      await next.end().catch(() => {});
      throw error;
    }
    next.once('end', () => void reconnect());
    client = next;
    if (closing.signal.aborted) await next.end();
  };

  const reconnect = async () => {
    for (let attempt = 0; !closing.signal.aborted; attempt++) {
      try {
        await sleep(RECONNECT_MS[attempt] ?? RECONNECT_MS.at(-1), undefined, { signal: closing.signal });
        await connect();
        for (const channel of channels) onNotify(channel, '');
        return;
      } catch (error) {
        if (!closing.signal.aborted) onError(error);
      }
    }
  };

  await connect();
  // A failed heartbeat needs no answer: the connection's end is what is acted upon.
  const heartbeat = setInterval(() => void client.query('select 1').catch(() => {}), HEARTBEAT_MS);
  return {
    async close() {
      closing.abort();
      clearInterval(heartbeat);
      await client.end();
    },
  };
}
