import { Kysely, PostgresDialect, sql } from 'kysely';
import pg from 'pg';
import { GatewayError } from '../domain/errors.ts';
import { newId } from '../domain/ids.ts';
import { type Bell, createBell } from './bell.ts';
import type { Database } from './database.ts';
import type { LogStore } from './log-store.ts';
import { migrate } from './migrate.ts';
import { CONFIG_CHANNEL, DECISION_CHANNEL, MESSAGE_CHANNEL } from './postgres-channels.ts';
import { createPostgresListener } from './postgres-listener.ts';
import { createAnnouncer, createPostgresLogStore } from './postgres-log-store.ts';
import { connectionConfig, createPool } from './postgres-pool.ts';
import { createReplicaMail } from './replica-mail.ts';
import { startPruning } from './state-pruning.ts';
import type { OpenDatabaseOptions, Store } from './store.ts';

const DEFAULT_POOL_SIZE = 10;

/** Appends are grouped by their caller; more than a few at once only wait for each other on the disk. */
const LOG_POOL_SIZE = 4;

/** Calls that need state are decided group by group. */
const DECIDE_POOL_SIZE = 1;

/** How often the end of older transactions is looked for, in milliseconds. */
const LOOK_AGAIN_MS = 500;

/** Opens a database on a PostgreSQL server (13 or newer), which any number of replicas may share. */
export async function openPostgresStore(url: string, options: OpenDatabaseOptions): Promise<Store> {
  const onError = options.onBackgroundError ?? (() => {});
  await checkConnection(url);
  await migrateOnce(url, onError);
  const configBell = createBell(onError);
  const decisionBell = createBell(onError);
  const replica = newId();
  const pool = createPool(url, { max: options.poolSize ?? DEFAULT_POOL_SIZE, timeouts: true, onError });
  const db = new Kysely<Database>({ dialect: new PostgresDialect({ pool }) });
  const mail = createReplicaMail(db, replica, onError);
  const listener = await createPostgresListener(url, {
    channels: [CONFIG_CHANNEL, DECISION_CHANNEL, MESSAGE_CHANNEL],
    onNotify(channel, payload) {
      if (channel === CONFIG_CHANNEL) void configBell.ring();
      else if (channel === DECISION_CHANNEL) void (payload === replica || decisionBell.ring());
      else mail.hear(payload);
    },
    onError,
  });
  const logPool = createPool(url, { max: LOG_POOL_SIZE, timeouts: true, onError });
  const decidePool = createPool(url, { max: DECIDE_POOL_SIZE, timeouts: true, pipeline: true, onError });
  const announce = createAnnouncer(() => void announceDecisions(logPool, replica).catch(onError));
  const log = createPostgresLogStore({ db, pool: logPool, decidePool, bell: decisionBell, announce });
  const stopPruning = startPruning({ kind: 'postgres', db }, onError);
  const lookAgain = setInterval(createLookout(log, decisionBell, onError), LOOK_AGAIN_MS).unref();
  return {
    kind: 'postgres',
    db,
    log,
    mail,
    onConfigChange: configBell.subscribe,
    onDecision: decisionBell.subscribe,
    ringConfig: configBell.ring,
    async ping() {
      await sql`select 1`.execute(db);
    },
    async close() {
      clearInterval(lookAgain);
      await stopPruning();
      await Promise.all([listener.close(), decidePool.end(), logPool.end(), pool.end()]);
    },
  };
}

/**
 * Rings when a decision may have become readable without a notification: it was committed while an older transaction ran that
 * has ended since, or the notification was lost with its connection.
 */
function createLookout(log: LogStore, bell: Bell, onError: (error: unknown) => void): () => void {
  let settled = -1n;
  let looking = false;
  const look = async () => {
    const { tx } = await log.head();
    if (tx === settled) return;
    settled = tx;
    await bell.ring();
  };
  return () => {
    if (looking || bell.listenerCount === 0) return;
    looking = true;
    void look()
      .catch(onError)
      .finally(() => {
        looking = false;
      });
  };
}

async function announceDecisions(pool: pg.Pool, replica: string): Promise<void> {
  if (!pool.ending)
    await pool.query({ name: 'announce', text: 'select pg_notify($1, $2)', values: [DECISION_CHANNEL, replica] });
}

async function checkConnection(url: string): Promise<void> {
  const client = new pg.Client(connectionConfig(url));
  client.on('error', () => {});
  try {
    await client.connect();
  } catch (error) {
    const where = `${client.host}:${client.port}`;
    const message = `PostgreSQL at ${where} can not be used (${describe(error)}). Check GATEWAY_DATABASE_URL and that the database runs.`;
    throw new GatewayError('unavailable', message, { cause: error });
  } finally {
    await client.end().catch(() => {});
  }
}

/** The driver's code or PostgreSQL's SQLSTATE: enough to act on, and never the password. */
function describe(error: unknown): string {
  const code = typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined;
  return typeof code === 'string' ? code : 'no connection';
}

/** Migrates on connections of its own, because waiting for another replica's migration may take longer than a statement may. */
async function migrateOnce(url: string, onError: (error: unknown) => void): Promise<void> {
  const pool = createPool(url, { max: 2, timeouts: false, onError });
  const db = new Kysely<Database>({ dialect: new PostgresDialect({ pool }) });
  try {
    await migrate(db);
  } finally {
    await pool.end();
  }
}
