import { GatewayError } from '../domain/errors.ts';
import type { JsonObject } from '../domain/json.ts';
import type { Era, Upstream } from '../domain/upstream.ts';
import type { Channel, ChannelClient, Channels } from '../upstream/channels.ts';
import { type EraBook, type Eras, pickEra } from '../upstream/era.ts';
import { GATEWAY_INFO, LEGACY_VERSION, MODERN_META } from '../upstream/gateway-client.ts';
import { resultOf } from '../upstream/rpc-error.ts';
import type { Viewer } from './offer.ts';

/** The catalogue's own conversation with an upstream, as a client that can do what the viewer can. */
export interface Line {
  readonly era: Era;
  /** What the upstream said that it speaks. */
  readonly eras: Eras;
  readonly channel: Channel;
  readonly client: ChannelClient;
  /** Sends one request and resolves with its result; rejects with UpstreamRpcError for an error, else with GatewayError. */
  ask(method: string, params: JsonObject, options: AskOptions): Promise<JsonObject>;
}

export interface AskOptions {
  readonly signal: AbortSignal;
  /** Takes what comes before the answer. */
  readonly onMessage: (message: JsonObject) => void;
}

export interface LineDeps {
  readonly channels: Pick<Channels, 'open'>;
  readonly eras: Pick<EraBook, 'probe'>;
}

/** On whose behalf an upstream is asked; viewers of an equal `sessionId` and upstream share one conversation. */
export interface LineOptions {
  readonly upstream: Upstream;
  readonly viewer: Viewer;
  readonly sessionId: string;
  readonly signal: AbortSignal;
}

/** Longest silence while lists are read; an upstream's calls may take longer than that. */
const LONGEST_SILENCE_MS = 30_000;
const CAPABILITIES_KEY = 'io.modelcontextprotocol/clientCapabilities';

/** Opens one; rejects when the upstream cannot be reached. */
export async function openLine({ channels, eras }: LineDeps, options: LineOptions): Promise<Line> {
  const { upstream, viewer, sessionId, signal } = options;
  const spoken = await unlessAborted(eras.probe(upstream), signal);
  const era = pickEra(spoken, viewer.era);
  const client = clientOf(viewer, era, sessionId);
  const channel = await unlessAborted(channels.open(upstream, client, era), signal);
  const meta = { ...MODERN_META, [CAPABILITIES_KEY]: viewer.capabilities };
  const timeoutMs = Math.min(upstream.timeoutMs, LONGEST_SILENCE_MS);
  let lastId = 0;
  return {
    era,
    eras: spoken,
    channel,
    client,
    async ask(method, params, asked) {
      const sent = era === 'modern' ? { ...params, _meta: meta } : params;
      const message = { jsonrpc: '2.0', id: `catalogue-${++lastId}`, method, params: sent };
      return resultOf(upstream, await channel.request(message, { client, timeoutMs, ...asked }));
    },
  };
}

/** Sessions are shared with the viewer's own client where that one is equal, so what it can do is declared as it declared it. */
function clientOf({ principal, capabilities }: Viewer, era: Era, sessionId: string): ChannelClient {
  const client = { principalId: principal.id, sessionId, isCatalogue: true };
  return era === 'modern'
    ? client
    : { ...client, initializeParams: { protocolVersion: LEGACY_VERSION, capabilities, clientInfo: GATEWAY_INFO } };
}

function unlessAborted<Value>(promise: Promise<Value>, signal: AbortSignal): Promise<Value> {
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const onAbort = () => reject(new GatewayError('canceled', 'The upstream was not waited for any longer.'));
  signal.addEventListener('abort', onAbort, { once: true });
  if (signal.aborted) {
    onAbort();
  }
  return Promise.race([promise, aborted]).finally(() => signal.removeEventListener('abort', onAbort));
}
