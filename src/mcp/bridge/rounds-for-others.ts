import { GatewayError } from '../../domain/errors.ts';
import type { JsonObject } from '../../upstream/message.ts';
import { InvalidMessageError } from '../json-rpc.ts';
import type { HeldExchanges } from './held-exchanges.ts';
import { type Relay, type RelayedError, type RelayMessage, readExactly } from './relay.ts';
import { ALIVE_MS } from './remote-rounds.ts';

export interface RoundsForOthersDeps {
  readonly relay: Relay;
  readonly held: HeldExchanges;
}

/** Runs rounds of the calls that this replica holds, for clients that came to another. */
export function serveOtherReplicas({ relay, held }: RoundsForOthersDeps): void {
  const running = new Map<string, AbortController>();
  relay.on('leave', ({ roundId }) => running.get(roundId)?.abort());
  relay.on('resume', (message) => void run(message));

  async function run(message: Extract<RelayMessage, { kind: 'resume' }>): Promise<void> {
    const { roundId, sender, exchangeId, turn, responses, progressToken, logLevel } = message;
    const gone = new AbortController();
    running.set(roundId, gone);
    let sent: Promise<unknown> = Promise.resolve();
    const tell = (told: RelayMessage) => {
      sent = sent.then(() => relay.send(sender, told)); // one after the other, so that they arrive in this order
    };
    const alive = () => tell({ kind: 'alive', roundId });
    const timer = setInterval(alive, ALIVE_MS);
    alive();
    try {
      const send = (said: JsonObject) => tell({ kind: 'said', roundId, message: said });
      const round = { progressToken, logLevel, send, signal: gone.signal };
      tell({ kind: 'ended', roundId, end: await held.resume(exchangeId, turn, round, readExactly(responses)) });
    } catch (error) {
      tell({ kind: 'failed', roundId, error: relayed(error) });
    }
    clearInterval(timer);
    running.delete(roundId);
  }
}

function relayed(error: unknown): RelayedError {
  if (error instanceof InvalidMessageError) {
    return { code: -32602, message: error.message };
  }
  return error instanceof GatewayError
    ? { reason: error.reason, message: error.message }
    : { reason: 'internal', message: 'The call failed on the replica that holds it.' };
}
