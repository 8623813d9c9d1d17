import { GatewayError } from '../../domain/errors.ts';
import type { Era, Upstream } from '../../domain/upstream.ts';
import type { ForwardEnd } from '../../pipeline/call.ts';
import type { Channel, Channels } from '../../upstream/channels.ts';
import { isObject, type JsonObject, paramsOf } from '../../upstream/message.ts';
import { statusOfMessage } from '../answer-scan.ts';
import { failureOf } from '../errors.ts';
import { InvalidMessageError } from '../json-rpc.ts';
import { createLazyStream, type LazyStream } from '../lazy-stream.ts';
import { answerText, statusOfError } from '../upstream-answer.ts';
import type { BridgeRequest } from './bridge-request.ts';
import { type CarryHeldDeps, carryHeld, carryRetry } from './carry-held.ts';
import { clientOf } from './clients.ts';
import { carryInputRounds, type InputRoundsDeps } from './input-rounds.ts';
import type { Leg } from './leg.ts';
import type { RunningRequests } from './running-requests.ts';
import { type CarryLegacyDeps, carryLegacy, carryModern } from './same-era.ts';
import type { Tokens } from './tokens.ts';

export interface ForwardDeps extends CarryHeldDeps, CarryLegacyDeps, InputRoundsDeps {
  readonly channels: Pick<Channels, 'open'>;
  readonly eraFor: (upstream: Upstream, clientEra: Era) => Promise<Era>;
  readonly running: RunningRequests;
  readonly tokens: Tokens;
}

/** Opens a channel, carries the request over it, and answers the client. */
export async function forward(
  deps: ForwardDeps,
  request: BridgeRequest,
  before: Promise<unknown> | undefined,
): Promise<ForwardEnd> {
  const { post } = request;
  const { answer } = post;
  const gone = new AbortController();
  answer.onClose(() => gone.abort());
  before?.catch(() => {}); // it may reject long before it is waited for
  let isCancelled = false;
  const forget = deps.running.add(post, () => {
    isCancelled = true;
    gone.abort();
  });
  const stream = createLazyStream(answer, before);
  try {
    const result = await carry(deps, { request, stream, signal: gone.signal });
    await before;
    await stream.flush();
    return send(request, stream, request.mapResult === undefined ? result : mapped(result, request.mapResult));
  } catch (error) {
    const cause = await rejectionOf(before, error);
    await stream.flush();
    if (isCancelled && cause === error) {
      // Who cancels a request gets no answer to it (specification 2025-11-25, basic/utilities/cancellation).
      answer.startStream();
      answer.end();
    }
    return gone.signal.aborted
      ? { status: 'canceled', responseBytes: stream.bytes() }
      : fail(request, stream, deps.stopping.aborted && isAbort(cause) ? stopped() : cause);
  } finally {
    forget();
  }
}

async function carry(deps: ForwardDeps, parts: Omit<Leg, 'client'>): Promise<JsonObject> {
  const { post, upstream, message } = parts.request;
  // What cannot be read may be the state of a modern upstream, such as another gateway's.
  const state = post.era === 'modern' ? await deps.tokens.read('round', paramsOf(message)['requestState']) : undefined;
  if (state !== undefined) {
    return carryRetry(deps, { ...parts, client: clientOf(post, 'legacy') }, state);
  }
  const era = await deps.eraFor(upstream, post.era);
  const leg = { ...parts, client: clientOf(post, era) };
  const channel = await deps.channels.open(upstream, leg.client, era);
  return carryFrom(deps, post.era, leg, channel);
}

function carryFrom(deps: ForwardDeps, clientEra: Era, leg: Leg, channel: Channel): Promise<JsonObject> {
  if (clientEra === 'modern') {
    return channel.era === 'modern' ? carryModern(leg, channel) : carryHeld(deps, leg, channel);
  }
  return channel.era === 'modern' ? carryInputRounds(deps, leg, channel) : carryLegacy(deps, leg, channel);
}

/** The answer with its result changed; what only asks for input has nothing to change. */
function mapped(answer: JsonObject, mapResult: (result: JsonObject) => JsonObject): JsonObject {
  const { result } = answer;
  return isObject(result) && result['resultType'] !== 'input_required'
    ? { ...answer, result: mapResult(result) }
    : answer;
}

function send({ post, upstream }: BridgeRequest, stream: LazyStream, answer: JsonObject): ForwardEnd {
  const json = answerText(upstream, answer);
  post.answer.sendJson(httpStatus(post.era, answer['error']), json);
  return { status: statusOfMessage(answer) ?? 'upstream_error', responseBytes: json.length + stream.bytes() };
}

/** Some errors of the modern era have an HTTP status (specification 2026-07-28, basic/transports/streamable-http). */
function httpStatus(era: Era, error: unknown): number {
  const code = era === 'modern' && isObject(error) ? error['code'] : undefined;
  if (code === -32601) {
    return 404;
  }
  return code === -32020 || code === -32021 || code === -32022 ? 400 : 200;
}

function fail({ post }: BridgeRequest, stream: LazyStream, error: unknown): ForwardEnd {
  const { answer, message } = post;
  const isInvalid = error instanceof InvalidMessageError;
  answer.sendError(message.id ?? null, isInvalid ? { code: error.code, message: error.message } : failureOf(error));
  // What the client lacks, or will not say, is no failure of the upstream.
  const isClients = isInvalid || (error instanceof GatewayError && error.reason === 'failed_precondition');
  return { status: isClients ? 'rpc_error' : statusOfError(error), responseBytes: stream.bytes() };
}

/** What `before` rejected with, which is the answer then, else the error itself. */
function rejectionOf(before: Promise<unknown> | undefined, error: unknown): Promise<unknown> {
  return Promise.resolve(before).then(
    () => error,
    (rejection: unknown) => rejection,
  );
}

function isAbort(error: unknown): boolean {
  return error instanceof Error && error.name === 'AbortError';
}

function stopped(): GatewayError {
  return new GatewayError(
    'unavailable',
    'The gateway stops, and cannot wait for the client any longer. Repeat the call.',
  );
}
