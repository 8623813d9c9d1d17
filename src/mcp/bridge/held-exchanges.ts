import { GatewayError } from '../../domain/errors.ts';
import type { JsonObject } from '../../upstream/message.ts';
import type { HeldExchange, Round, RoundEnd } from './held-exchange.ts';
import { type Binding, lapsed } from './round-state.ts';
import type { Tokens } from './tokens.ts';

/** How a round ended, as the client is told; after questions it comes again with `requestState`. */
export type ToldEnd =
  | Exclude<RoundEnd, { kind: 'questions' }>
  | (Extract<RoundEnd, { kind: 'questions' }> & { readonly requestState: string });

export interface HeldExchangesDeps {
  readonly tokens: Tokens;
  readonly replicaId: string;
  /** How long a call waits for its client to come again, in milliseconds. */
  readonly holdMs: number;
  /** Aborted when the process stops. */
  readonly stopping: AbortSignal;
  readonly now: () => number;
}

export type HeldExchanges = ReturnType<typeof createHeldExchanges>;

interface Held {
  readonly exchange: HeldExchange;
  readonly binding: Binding;
  readonly timer: NodeJS.Timeout;
}

/** Calls of one principal that may wait; of more, the one that waits longest is given up. */
const MAX_OF_PRINCIPAL = 100;
const MAX_HELD = 10_000;

/** The calls of modern clients at legacy upstreams that wait on this replica for answers to what the upstream asked. */
export function createHeldExchanges({ tokens, replicaId, holdMs, stopping, now }: HeldExchangesDeps) {
  const held = new Map<string, Held>();
  stopping.addEventListener('abort', () => {
    for (const { exchange } of held.values()) {
      if (exchange.isWaiting) {
        giveUp(exchange);
      }
    }
  });

  function giveUp(exchange: HeldExchange): void {
    clearTimeout(held.get(exchange.id)?.timer);
    held.delete(exchange.id);
    exchange.abort();
  }

  /** Runs a round of a call, and keeps the call, bound as `bind` says, when its client has to come again; else it is over. */
  async function run(
    exchange: HeldExchange,
    bind: () => Binding,
    round: Round,
    responses?: JsonObject,
  ): Promise<ToldEnd> {
    let end: RoundEnd | undefined;
    try {
      end = await exchange.run(round, responses);
      return end.kind === 'answer' ? end : { ...end, requestState: await hold(exchange, bind()) };
    } finally {
      if (end?.kind !== 'questions') {
        held.delete(exchange.id);
      }
    }
  }

  async function hold(exchange: HeldExchange, binding: Binding): Promise<string> {
    const { id: exchangeId, turn } = exchange;
    if (stopping.aborted || !hasRoom(held, binding, giveUp)) {
      giveUp(exchange);
      throw new GatewayError('unavailable', 'The call cannot wait for input now. Repeat it later.');
    }
    const timer = setTimeout(giveUp, holdMs, exchange).unref();
    held.delete(exchangeId); // so that the order is that of the last rounds
    held.set(exchangeId, { exchange, binding, timer });
    const expireTime = now() + holdMs;
    try {
      return await tokens.make({ kind: 'round', replicaId, exchangeId, turn, ...binding, expireTime });
    } catch (error) {
      giveUp(exchange);
      throw error;
    }
  }

  /** Goes on with a call that waits; rejects with InvalidMessageError when it is over, or has had this turn. */
  function resume(exchangeId: string, turn: number, round: Round, responses: JsonObject): Promise<ToldEnd> {
    const known = held.get(exchangeId);
    if (known === undefined || known.exchange.turn !== turn) {
      return Promise.reject(lapsed());
    }
    clearTimeout(known.timer);
    return run(known.exchange, () => known.binding, round, responses);
  }

  return { run, resume };
}

function hasRoom(
  held: ReadonlyMap<string, Held>,
  { principalId }: Binding,
  giveUp: (exchange: HeldExchange) => void,
): boolean {
  if (held.size < MAX_OF_PRINCIPAL) {
    return true;
  }
  const own = [...held.values()].filter(({ binding }) => binding.principalId === principalId);
  if (own.length < MAX_OF_PRINCIPAL) {
    return held.size < MAX_HELD;
  }
  const oldest = own.find(({ exchange }) => exchange.isWaiting);
  if (oldest !== undefined) {
    giveUp(oldest.exchange);
  }
  return oldest !== undefined;
}
