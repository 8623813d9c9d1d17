import { type Kysely, sql } from 'kysely';
import { newId } from '../domain/ids.ts';
import type { Unsubscribe } from './bell.ts';
import type { Database } from './database.ts';
import { MESSAGE_CHANNEL } from './postgres-channels.ts';

/** Messages between the replicas of one installation, each taken once by the replica it is for; lost when that one has ended. */
export interface ReplicaMail {
  /** Names this process; another one after every start. */
  readonly replicaId: string;
  /** Sends to a replica; false when there is no other one to send to. Throws what the driver threw. */
  send(recipient: string, body: string): Promise<boolean>;
  /** Sends to all other replicas that can hear it now, at most 7,000 bytes; it is not kept for the others. Throws what the driver threw. */
  broadcast(body: string): Promise<void>;
  /** Hears what comes for this replica, in the order in which it was committed. */
  onMessage(listener: (body: string) => void): Unsubscribe;
}

/** Messages that nobody took are removed after this time: their replica has ended. */
const KEPT_MS = 10 * 60_000;

/** Begins the notification of a broadcast; its sender and a space follow, then the message. */
const TO_ALL = '*';

/** The mail of a database that one process has alone. */
export function createNoMail(): ReplicaMail {
  return { replicaId: newId(), send: async () => false, broadcast: async () => {}, onMessage: () => () => {} };
}

/** The mail of replicas that share a PostgreSQL server; call `hear` with each notification of their channel. */
export function createReplicaMail(
  db: Kysely<Database>,
  replicaId: string,
  onError: (error: unknown) => void,
): ReplicaMail & { readonly hear: (payload: string) => void } {
  const listeners = new Set<(body: string) => void>();

  /** A message is taken from the table already, so one that a listener fails on must not take the others along. */
  function tell(body: string): void {
    for (const listener of listeners) {
      try {
        listener(body);
      } catch (error) {
        onError(error);
      }
    }
  }

  const ring = createReading(async () => {
    const rows = await db.deleteFrom('replica_messages').where('recipient', '=', replicaId).returningAll().execute();
    rows.sort((a, b) => (a.id < b.id ? -1 : 1));
    for (const { body } of rows) tell(body);
  }, onError);

  return {
    replicaId,
    async broadcast(body) {
      await sql`select pg_notify(${MESSAGE_CHANNEL}, ${`${TO_ALL}${replicaId} ${body}`})`.execute(db);
    },
    hear(payload) {
      // After a reconnect nothing is named.
      if (payload === replicaId || payload === '') return ring();
      const space = payload.indexOf(' ');
      if (payload.startsWith(TO_ALL) && payload.slice(1, space) !== replicaId) tell(payload.slice(space + 1));
    },
    async send(recipient, body) {
      await store(db, recipient, body);
      return true;
    },
    onMessage(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}

/** Makes a function that has `read` run once more after it was called, one run at a time. */
function createReading(read: () => Promise<void>, onError: (error: unknown) => void): () => void {
  let isReading = false;
  let isRung = false;
  const readWhileRung = async () => {
    while (isRung) {
      isRung = false;
      await read().catch(onError);
    }
  };
  return () => {
    isRung = true;
    if (isReading) return;
    isReading = true;
    void readWhileRung().finally(() => {
      isReading = false;
    });
  };
}

async function store(db: Kysely<Database>, recipient: string, body: string): Promise<void> {
  const now = Date.now();
  await db
    .deleteFrom('replica_messages')
    .where('create_time', '<', now - KEPT_MS)
    .execute();
  await db.transaction().execute(async (trx) => {
    await trx
      .insertInto('replica_messages')
      .values({ id: newId(now), recipient, body, create_time: now })
      .execute();
    await sql`select pg_notify(${MESSAGE_CHANNEL}, ${recipient})`.execute(trx);
  });
}
