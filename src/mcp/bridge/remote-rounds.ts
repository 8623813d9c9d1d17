import { GatewayError } from '../../domain/errors.ts';
import { newId } from '../../domain/ids.ts';
import type { JsonObject } from '../../upstream/message.ts';
import { InvalidMessageError } from '../json-rpc.ts';
import type { Round } from './held-exchange.ts';
import type { ToldEnd } from './held-exchanges.ts';
import type { Relay, RelayedError, ResumeMessage } from './relay.ts';
import { lapsed } from './round-state.ts';

/** How often a replica that runs a round for another says that it does, in milliseconds. */
export const ALIVE_MS = 5_000;
/** Signs of life that may be missing before that replica counts as ended. */
const MISSING = 4;

export type RemoteRounds = ReturnType<typeof createRemoteRounds>;

interface Awaited {
  readonly onAlive: () => void;
  readonly onSaid: (message: JsonObject) => void;
  readonly onEnd: (end: ToldEnd) => void;
  readonly onFailure: (error: Error) => void;
}

/** Rounds of calls that another replica holds: the client's retry goes there, and what it hears comes back. */
export function createRemoteRounds({ relay }: { readonly relay: Relay }) {
  const rounds = new Map<string, Awaited>();
  relay.on('alive', ({ roundId }) => rounds.get(roundId)?.onAlive());
  relay.on('said', ({ roundId, message }) => rounds.get(roundId)?.onSaid(message));
  relay.on('ended', ({ roundId, end }) => rounds.get(roundId)?.onEnd(end));
  relay.on('failed', ({ roundId, error }) => rounds.get(roundId)?.onFailure(errorOf(error)));

  /** Goes on with a call at the replica that holds it; rejects as that one does, and with `unavailable` when it has ended meanwhile. */
  async function resume(replicaId: string, message: ResumeMessage, round: Round): Promise<ToldEnd> {
    const roundId = newId();
    const { promise, resolve, reject } = Promise.withResolvers<ToldEnd>();
    promise.catch(() => {}); // it may fail before it is waited for
    const timer = setTimeout(() => reject(replicaEnded()), ALIVE_MS * MISSING);
    const leave = () => {
      void relay.send(replicaId, { kind: 'leave', roundId });
      reject(new GatewayError('canceled', 'The client went away.'));
    };
    rounds.set(roundId, {
      onAlive: () => timer.refresh(),
      onSaid: round.send,
      onEnd: resolve,
      onFailure: reject,
    });
    round.signal.addEventListener('abort', leave, { once: true });
    try {
      const sender = relay.replicaId;
      const hasLeft = await relay.send(replicaId, { kind: 'resume', roundId, sender, ...message, ...wantsOf(round) });
      if (!hasLeft) {
        throw lapsed();
      }
      return await promise;
    } finally {
      clearTimeout(timer);
      rounds.delete(roundId);
      round.signal.removeEventListener('abort', leave);
    }
  }

  return { resume };
}

function wantsOf({ progressToken, logLevel }: Round): Pick<ResumeMessage, 'progressToken' | 'logLevel'> {
  return {
    ...(progressToken === undefined ? {} : { progressToken }),
    ...(logLevel === undefined ? {} : { logLevel }),
  };
}

function replicaEnded(): GatewayError {
  return new GatewayError(
    'unavailable',
    'The replica that held this call has ended. Repeat the call without its state.',
  );
}

function errorOf({ reason, code, message }: RelayedError): Error {
  return code === undefined ? new GatewayError(reason ?? 'internal', message) : new InvalidMessageError(code, message);
}
