import type { ErrorReason } from '../../domain/errors.ts';
import { type JsonObject, parseMessages } from '../../upstream/message.ts';
import { isFragile, parseExactly } from '../json-rpc.ts';
import type { ToldEnd } from './held-exchanges.ts';

/** What the bridges of two replicas say to each other. */
export type RelayMessage =
  /** To all replicas: a legacy client cancels a request that is on its way elsewhere. */
  | { readonly kind: 'cancel'; readonly requestKey: string }
  /** To all replicas: a legacy client wants log messages of this level and above. */
  | { readonly kind: 'level'; readonly sessionId: string; readonly level: string }
  /** A legacy client's answer, to who asked: its JSON, so that its numbers stay as they were written. */
  | { readonly kind: 'answer'; readonly questionId: string; readonly response: string }
  /** A modern client's retry, to who holds its call. */
  | ({ readonly kind: 'resume'; readonly roundId: string; readonly sender: string } & ResumeMessage)
  /** The client of that retry is gone. */
  | { readonly kind: 'leave'; readonly roundId: string }
  /** What comes back: a sign of life, a message for the client, the end of the round. */
  | { readonly kind: 'alive'; readonly roundId: string }
  | { readonly kind: 'said'; readonly roundId: string; readonly message: JsonObject }
  | { readonly kind: 'ended'; readonly roundId: string; readonly end: ToldEnd }
  | { readonly kind: 'failed'; readonly roundId: string; readonly error: RelayedError };

export interface ResumeMessage {
  readonly exchangeId: string;
  readonly turn: number;
  /** JSON of the answers by key, with its numbers as the client wrote them. */
  readonly responses: string;
  readonly progressToken?: unknown;
  readonly logLevel?: string;
}

/** A GatewayError, by its reason, or an error for the client as it is, by its code. */
export interface RelayedError {
  readonly reason?: ErrorReason;
  readonly code?: -32602;
  readonly message: string;
}

/** An object of a message's JSON text, with every number as it was written. */
export function readExactly(text: string): JsonObject {
  return isFragile(text)
    ? (parseExactly(text, Number.POSITIVE_INFINITY) ?? {})
    : // It was an object when it was sent.
      (JSON.parse(text) as JsonObject);
}

type Of<Kind extends RelayMessage['kind']> = Extract<RelayMessage, { kind: Kind }>;

export interface RelayDeps {
  readonly replicaId: string;
  /** Sends a text to another replica; false when there is none. Absent = there never is. */
  readonly relay?: ((replicaId: string, body: string) => Promise<boolean>) | undefined;
  /** Sends a short text to all other replicas that hear it now. */
  readonly relayToAll?: ((body: string) => Promise<void>) | undefined;
}

export type Relay = ReturnType<typeof createRelay>;

/** Longest text that all replicas are told, in bytes. */
const MAX_TOLD = 7_000;

/** Carries messages between the bridges of replicas; what the sender's replica could not send counts as not sent. */
export function createRelay({ replicaId, relay, relayToAll }: RelayDeps) {
  const takers = new Map<string, (message: RelayMessage) => void>();

  /** False when it did not leave. */
  async function send(recipient: string, message: RelayMessage): Promise<boolean> {
    const sent = relay?.(recipient, JSON.stringify({ ...message, bridge: 1 }));
    return (await sent?.catch(() => false)) ?? false;
  }

  /** What is too long to be told so is not told, and nor is what cannot be sent now: it would come too late. */
  function sendToAll(message: RelayMessage): void {
    const body = JSON.stringify({ ...message, bridge: 1 });
    if (Buffer.byteLength(body) <= MAX_TOLD) {
      relayToAll?.(body).catch(() => undefined);
    }
  }

  function on<Kind extends RelayMessage['kind']>(kind: Kind, taker: (message: Of<Kind>) => void): void {
    takers.set(kind, (message) => taker(message as Of<Kind>));
  }

  /** Takes a text that another replica sent; false when it is not for the bridge. */
  function take(body: string): boolean {
    const [message] = parseMessages(body);
    if (message?.['bridge'] === undefined) {
      return false;
    }
    const taker = takers.get(String(message['kind']));
    // Written by another replica of this installation, in its own table.
    taker?.(message as unknown as RelayMessage);
    return taker !== undefined;
  }

  return { replicaId, send, sendToAll, on, take };
}
