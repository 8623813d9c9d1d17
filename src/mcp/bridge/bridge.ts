import type { OutcomeStatus } from '../../domain/decision.ts';
import type { Era, Upstream } from '../../domain/upstream.ts';
import type { ForwardEnd } from '../../pipeline/call.ts';
import type { Channel, ChannelClient, Channels } from '../../upstream/channels.ts';
import { type EraBook, pickEra } from '../../upstream/era.ts';
import type { McpPost, McpRequest } from '../exchange.ts';
import type { BridgeRequest } from './bridge-request.ts';
import { clientOf } from './clients.ts';
import { Deliveries } from './deliveries.ts';
import { type ForwardDeps, forward } from './forward.ts';
import { createHeldExchanges } from './held-exchanges.ts';
import { createLogLevels } from './log-levels.ts';
import { createQuestions } from './questions.ts';
import { createRelay, type RelayDeps } from './relay.ts';
import { createRemoteRounds } from './remote-rounds.ts';
import { serveOtherReplicas } from './rounds-for-others.ts';
import { createRunningRequests } from './running-requests.ts';
import { createTokens, type TokensDeps } from './tokens.ts';
import { createUpstreamLogLevels } from './upstream-log-levels.ts';

/** Carries requests between any client and any upstream, translating between eras where they differ. */
export interface Bridge {
  /**
   * Sends the request in the upstream's era, passes what comes before the answer on to the client (progress, log messages, requests of
   * the upstream), and answers the client. No byte leaves before `before` has resolved; its rejection becomes the answer. Never
   * rejects: failures are answered.
   */
  forward(request: BridgeRequest, before?: Promise<unknown>): Promise<ForwardEnd>;
  /** A client's response to something that the bridge asked it, on this replica or another; false = it was not asked that. */
  takeAnswer(post: McpPost): Promise<boolean>;
  /** A legacy client cancels a request that is on its way, here or on another replica; false = there is none here. */
  cancel(post: McpPost): boolean;
  /** `logging/setLevel` of a legacy client: holds for its session from now on, on all replicas that hear of it. */
  setLogLevel(post: McpPost, level: string): void;
  /** The era to speak with the upstream for a client of this era: the same where the upstream can. Throws when the upstream cannot be reached. */
  eraFor(upstream: Upstream, clientEra: Era): Promise<Era>;
  /** Who the request's client is at an upstream that is spoken to in this era. */
  clientOf(request: McpRequest & { readonly message?: McpPost['message'] }, upstreamEra: Era): ChannelClient;
  /** What a legacy upstream says outside of requests, for the stream of a legacy session; answers to what it asks come by `takeAnswer`. */
  deliveries(request: McpRequest, channel: Pick<Channel, 'respond'>): Deliveries;
  /** Takes what the bridge of another replica sent to this one; false when the text is not for the bridge. */
  takeRelayed(body: string): boolean;
}

export interface BridgeDeps extends TokensDeps, RelayDeps {
  readonly channels: Pick<Channels, 'open'>;
  readonly eras: Pick<EraBook, 'erasOf' | 'probe'>;
  /** Aborted when the process stops. */
  readonly stopping: AbortSignal;
  /** Told how each exchange ended, for the upstream's health and era. */
  readonly onEnd: (upstream: Upstream, status: OutcomeStatus) => void;
  /** Longest time that a client may take to answer what an upstream asks, in milliseconds; 10 minutes unless given. */
  readonly holdMs?: number;
  readonly now?: () => number;
}

const HOLD_MS = 10 * 60_000;

/** Makes the bridge; nothing of it outlives `stopping` but what clients still wait for. */
export function createBridge(deps: BridgeDeps): Bridge {
  const { channels, eras, stopping, onEnd, replicaId, holdMs = HOLD_MS, now = Date.now } = deps;
  const tokens = createTokens(deps);
  const relay = createRelay(deps);
  const questions = createQuestions({ tokens, relay, holdMs });
  const held = createHeldExchanges({ tokens, replicaId, holdMs, stopping, now });
  const remote = createRemoteRounds({ relay });
  serveOtherReplicas({ relay, held });
  const running = createRunningRequests({ relay });
  const levels = createLogLevels();
  relay.on('level', ({ sessionId, level }) => levels.set(sessionId, level));
  const upstreamLevels = createUpstreamLogLevels();

  const eraFor: Bridge['eraFor'] = async (upstream, clientEra) => {
    const known = eras.erasOf(upstream);
    const isKnown = known.modern !== undefined || (clientEra === 'legacy' && known.legacy === true);
    return pickEra(isKnown ? known : await eras.probe(upstream), clientEra);
  };

  const forwardDeps: ForwardDeps = {
    channels,
    eraFor,
    questions,
    held,
    remote,
    running,
    levels,
    upstreamLevels,
    replicaId,
    stopping,
    tokens,
    now,
  };

  return {
    async forward(request, before) {
      const end = await forward(forwardDeps, request, before);
      onEnd(request.upstream, end.status);
      return end;
    },
    takeAnswer: questions.take,
    cancel: running.cancel,
    setLogLevel({ session }, level) {
      if (session !== undefined) {
        levels.set(session.id, level);
        relay.sendToAll({ kind: 'level', sessionId: session.id, level });
      }
    },
    eraFor,
    clientOf,
    deliveries(request, channel) {
      const client = clientOf(request, 'legacy');
      return new Deliveries({ questions, channel, client, logLevel: () => levels.find(client.sessionId) });
    },
    takeRelayed: relay.take,
  };
}
