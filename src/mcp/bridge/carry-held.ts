import type { Channel } from '../../upstream/channels.ts';
import { isObject, type JsonObject, metaOf, paramsOf } from '../../upstream/message.ts';
import { nameFields } from '../envelope.ts';
import { InvalidMessageError } from '../json-rpc.ts';
import { capabilitiesOf } from './clients.ts';
import { HeldExchange, type Round } from './held-exchange.ts';
import type { HeldExchanges, ToldEnd } from './held-exchanges.ts';
import { type Leg, optionsOf } from './leg.ts';
import { isLogLevel } from './log-levels.ts';
import { LOG_LEVEL_KEY } from './meta-keys.ts';
import type { RemoteRounds } from './remote-rounds.ts';
import { bindingOf, checkState, lapsed } from './round-state.ts';
import { fromLegacyError, fromLegacyResult, toLegacyRequest, urlElicitationsOf } from './to-legacy-upstream.ts';
import type { RoundToken } from './tokens.ts';
import type { UpstreamLogLevels } from './upstream-log-levels.ts';
import { pagesRequired, requirePagesOpened } from './url-pages.ts';

export interface CarryHeldDeps {
  readonly held: HeldExchanges;
  readonly remote: RemoteRounds;
  readonly upstreamLevels: UpstreamLogLevels;
  readonly replicaId: string;
  readonly now: () => number;
}

/** A modern client's request to a legacy upstream: what the upstream asks ends the response with `input_required`, while the call is held here. */
export async function carryHeld(deps: CarryHeldDeps, leg: Leg, channel: Channel): Promise<JsonObject> {
  const { request, client } = leg;
  const { message } = request;
  const params = paramsOf(message);
  if (params['requestState'] !== undefined) {
    throw lapsed(); // it is not the gateway's, and the upstream has none
  }
  requirePagesOpened(params['inputResponses']);
  const round = roundOf(leg, params);
  await deps.upstreamLevels.raise(channel, round.logLevel);
  const { timeoutMs, headers } = optionsOf(leg, leg.stream.send);
  const exchange = new HeldExchange({
    channel,
    client,
    capabilities: capabilitiesOf(request.post, 'modern'),
    message: toLegacyRequest(message),
    options: { ...(timeoutMs === undefined ? {} : { timeoutMs }), ...(headers === undefined ? {} : { headers }) },
    mayAsk: nameFields.has(String(message['method'])),
  });
  return told(leg, await deps.held.run(exchange, () => bindingOf(request), round));
}

/** The retry of a modern client whose call is held, on this replica or another. */
export async function carryRetry(deps: CarryHeldDeps, leg: Leg, state: RoundToken): Promise<JsonObject> {
  const params = paramsOf(leg.request.message);
  const responses = params['inputResponses'] ?? {};
  if (!isObject(responses)) {
    throw new InvalidMessageError(-32602, `'params.inputResponses' must be an object`);
  }
  checkState(state, bindingOf(leg.request), deps.now());
  const { replicaId, exchangeId, turn } = state;
  const round = roundOf(leg, params);
  const end = await (replicaId === deps.replicaId
    ? deps.held.resume(exchangeId, turn, round, responses)
    : deps.remote.resume(replicaId, { exchangeId, turn, responses: JSON.stringify(responses) }, round));
  return told(leg, end);
}

function roundOf({ stream, signal }: Leg, params: JsonObject): Round {
  const { progressToken, [LOG_LEVEL_KEY]: logLevel } = metaOf(params);
  if (logLevel !== undefined && !isLogLevel(logLevel)) {
    throw new InvalidMessageError(-32602, `'params._meta' names a log level that does not exist`);
  }
  return { progressToken, logLevel, send: stream.send, signal };
}

/** The JSON-RPC answer to this round. */
function told({ request }: Leg, end: ToldEnd): JsonObject {
  const { message, post } = request;
  const { id, method } = message;
  if (end.kind === 'questions') {
    const { inputRequests, requestState } = end;
    return { jsonrpc: '2.0', id, result: { resultType: 'input_required', inputRequests, requestState } };
  }
  const { result, error } = end.answer;
  if (error === undefined) {
    return { jsonrpc: '2.0', id, result: isObject(result) ? fromLegacyResult(String(method), result) : result };
  }
  const pages = nameFields.has(String(method)) ? urlElicitationsOf(error) : undefined;
  return pages === undefined
    ? { jsonrpc: '2.0', id, error: fromLegacyError(error) }
    : { jsonrpc: '2.0', id, ...pagesRequired(pages, capabilitiesOf(post, 'modern')) };
}
