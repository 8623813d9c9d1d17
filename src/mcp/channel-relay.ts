import type { OutcomeStatus } from '../domain/decision.ts';
import { GatewayError } from '../domain/errors.ts';
import { newId } from '../domain/ids.ts';
import type { Upstream } from '../domain/upstream.ts';
import type { ForwardEnd } from '../pipeline/call.ts';
import { sharingOf } from '../upstream/channel-key.ts';
import type { Channel, ChannelClient, Channels } from '../upstream/channels.ts';
import type { JsonObject } from '../upstream/message.ts';
import { keepAlive, messageEvent, onClose, startEventStream, writeEvent } from './answer.ts';
import { statusOfAnswer } from './answer-scan.ts';
import { declaresUrlElicitation } from './elicitation.ts';
import { errorResponse, failureOf } from './errors.ts';
import type { UpstreamPost, UpstreamRequest } from './exchange.ts';
import { exactValue } from './json-rpc.ts';
import { createLazyStream } from './lazy-stream.ts';
import { rewriteMessage } from './rewrite.ts';
import type { Session, Sessions } from './sessions.ts';
import { answerText } from './upstream-answer.ts';

export interface ChannelRelayDeps {
  readonly channels: Channels;
  readonly sessions: Sessions;
  /** Told how each exchange ended, for the upstream's health and era. */
  readonly onEnd: (upstream: Upstream, status: OutcomeStatus) => void;
}

export type ChannelRelay = ReturnType<typeof createChannelRelay>;

/** Carries requests to upstreams that are one long conversation (stdio process, SSE connection), shared by many clients. */
export function createChannelRelay(deps: ChannelRelayDeps) {
  const { channels } = deps;

  /** One JSON-RPC message; resolves when the answer is delivered. */
  async function post(post: UpstreamPost, before?: Promise<unknown>): Promise<ForwardEnd> {
    const end = await exchange(post, before);
    deps.onEnd(post.upstream, end.status);
    return end;
  }

  async function exchange(post: UpstreamPost, before?: Promise<unknown>): Promise<ForwardEnd> {
    const { message } = post;
    try {
      if (post.era === 'legacy' && message.method === 'initialize') {
        return await initialize(deps, post);
      }
      const client = clientOf(post);
      const channel = await channels.open(post.upstream, client, post.era);
      if (message.kind === 'request') {
        return await answerRequest(post, channel, client, before);
      }
      tell(channel, client, post);
      post.answer.sendEmpty(202);
      return { status: 'ok', responseBytes: 0 };
    } catch (error) {
      return fail(post, error, before);
    }
  }

  /** The server-to-client stream of a legacy session; ends with the client. */
  async function openStream(request: UpstreamRequest): Promise<ForwardEnd> {
    const { response } = request;
    const client = clientOf(request);
    const channel = await channels.open(request.upstream, client, 'legacy');
    startEventStream(response, request.requestId);
    const stopKeepAlive = keepAlive(response);
    const detach = channel.attach(client, {
      send: (message) => writeEvent(response, messageEvent(JSON.stringify(message))),
      onEnd: () => response.end(),
    });
    await new Promise<void>((resolve) => onClose(response, resolve));
    stopKeepAlive();
    detach();
    return { status: 'ok', responseBytes: 0 };
  }

  function endSession(request: UpstreamRequest, session: Session): Promise<void> {
    return channels.endSession(request.upstream, session.id);
  }

  return { post, openStream, endSession };
}

/** Opens what serves the new session, and gives the client an id that any replica can go on with. */
async function initialize({ channels, sessions }: ChannelRelayDeps, post: UpstreamPost): Promise<ForwardEnd> {
  const { message, upstream, principal } = post;
  const id = newId();
  const initializeParams = message.params ?? {};
  const channel = await channels.open(
    upstream,
    { principalId: principal.id, sessionId: id, initializeParams },
    'legacy',
  );
  const elicitsUrl = declaresUrlElicitation(initializeParams['capabilities']);
  const token = await sessions.mint({
    id,
    principalId: principal.id,
    targetId: post.target.id,
    initializeParams,
    ...(elicitsUrl ? { elicitsUrl } : {}),
  });
  const json = JSON.stringify({
    jsonrpc: '2.0',
    id: message.id,
    result: resultFor(upstream, channel, initializeParams),
  });
  post.answer.sendJson(200, json, { 'mcp-session-id': token });
  return { status: 'ok', responseBytes: json.length };
}

/** A connection that all share speaks the newest revision; a client that asked for an older one is told that one. */
function resultFor(upstream: Upstream, { initializeResult }: Channel, initializeParams: JsonObject) {
  const asked = initializeParams['protocolVersion'];
  const spoken = initializeResult?.['protocolVersion'];
  const isOlder = typeof asked === 'string' && typeof spoken === 'string' && asked < spoken;
  return isOlder && sharingOf(upstream) === 'per_upstream'
    ? { ...initializeResult, protocolVersion: asked }
    : initializeResult;
}

function clientOf(request: UpstreamRequest): ChannelClient {
  const { session, principal, requestId } = request;
  return session === undefined
    ? { principalId: principal.id, sessionId: requestId }
    : {
        principalId: principal.id,
        sessionId: session.id,
        ...(session.initializeParams === undefined ? {} : { initializeParams: session.initializeParams }),
      };
}

/** A notification or a response of the client; `initialized` stays here, as the channel has said it already. */
function tell(channel: Channel, client: ChannelClient, post: UpstreamPost): void {
  const { message } = post;
  if (message.kind === 'response') {
    channel.respond(client, exactValue(message));
  } else if (message.method !== 'notifications/initialized') {
    channel.notify(client, exactValue(message));
  }
}

/** Answers with JSON, or with an event stream as soon as the upstream says something before its answer. */
async function answerRequest(
  post: UpstreamPost,
  channel: Channel,
  client: ChannelClient,
  before: Promise<unknown> | undefined,
): Promise<ForwardEnd> {
  const { answer, message } = post;
  const gone = new AbortController();
  answer.onClose(() => gone.abort());
  const stream = createLazyStream(answer, before);
  const { signal } = gone;
  try {
    const given = await channel.request(exactValue(message), { client, signal, onMessage: stream.send });
    const result = post.rewrite === undefined ? given : rewriteMessage(given, post.rewrite);
    await before;
    await stream.flush();
    const json = answerText(post.upstream, result);
    answer.sendJson(200, json);
    return { status: statusOfAnswer(json) ?? 'upstream_error', responseBytes: json.length + stream.bytes() };
  } catch (error) {
    if (signal.aborted) {
      return { status: 'canceled', responseBytes: stream.bytes() };
    }
    await stream.flush();
    throw error;
  }
}

/** Answers with the failure, but not before the decision is durable; when it is not, that is the answer. */
async function fail(post: UpstreamPost, error: unknown, before: Promise<unknown> | undefined): Promise<ForwardEnd> {
  const { answer, message } = post;
  const cause = await Promise.resolve(before).then(
    () => error,
    (notRecorded: unknown) => notRecorded,
  );
  const text = errorResponse(message.id ?? null, failureOf(cause));
  answer.sendJson(message.kind === 'request' ? 200 : 502, text);
  return { status: answer.isGone ? 'canceled' : statusOf(cause), responseBytes: text.length };
}

function statusOf(error: unknown): ForwardEnd['status'] {
  return error instanceof GatewayError && error.reason === 'upstream_timeout' ? 'timeout' : 'upstream_error';
}
