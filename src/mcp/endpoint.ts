import type { DecisionWatch } from '../decisions/decision-watch.ts';
import { GatewayError } from '../domain/errors.ts';
import { hasScope, type Principal, type Scope } from '../domain/principal.ts';
import { isGateway, type Target } from '../domain/target.ts';
import { admit, callScopes } from '../pipeline/call.ts';
import type { EraBook } from '../upstream/era.ts';
import { MODERN_VERSION } from '../upstream/gateway-client.ts';
import { sendEmpty } from './answer.ts';
import { ClientAnswer } from './client-answer.ts';
import type { ComposedFace } from './composed/composed-face.ts';
import { streamDecisions } from './decision-stream.ts';
import { LEGACY_VERSIONS, readEnvelope } from './envelope.ts';
import { failureOf } from './errors.ts';
import type { HttpRequest, HttpResponse, McpPost, McpRequest, UpstreamPost, UpstreamRequest } from './exchange.ts';
import { acceptsAnswers } from './forwarded-headers.ts';
import { type ClientMessage, InvalidMessageError, parseMessage } from './json-rpc.ts';
import { isSameEra } from './pairing.ts';
import { type PassThroughDeps, passThrough, relayOf } from './pass-through.ts';
import type { Session, Sessions } from './sessions.ts';
import { guardStream } from './stream-guard.ts';

export interface McpEndpointDeps extends PassThroughDeps {
  readonly sessions: Sessions;
  /** Notes an ended session for all replicas. */
  readonly endSession: (session: Session) => Promise<void>;
  readonly eras: Pick<EraBook, 'erasOf' | 'probe'>;
  /** Answers what is sent to a gateway, or to an upstream that does not speak the client's era. */
  readonly composed: ComposedFace;
  readonly watch: DecisionWatch;
  readonly readBody: (request: HttpRequest) => Buffer | Promise<Buffer>;
  /** Aborted when the process stops: streams that only listen end then. */
  readonly stopping: AbortSignal;
}

/** An authenticated request to `/v1/mcp/{slug}`. */
export interface McpArrival {
  readonly request: HttpRequest;
  readonly response: HttpResponse;
  readonly requestId: string;
  readonly principal: Principal;
  readonly slug: string;
  /** Checks the credential once more, for streams that outlive a revocation; throws as at the beginning. */
  readonly authenticate: () => Principal | Promise<Principal>;
}

/** The MCP face: turns one HTTP request of any client into a governed call and carries the answer back; throws GatewayError for a refusal at the edge, before anything was answered. */
export async function handleMcpRequest(deps: McpEndpointDeps, arrival: McpArrival): Promise<void> {
  switch (arrival.request.method) {
    case 'POST':
      return handlePost(deps, arrival);
    case 'GET':
      return handleGet(deps, arrival);
    default:
      return handleDelete(deps, arrival);
  }
}

async function handlePost(deps: McpEndpointDeps, arrival: McpArrival): Promise<void> {
  const { request, response, requestId } = arrival;
  const answer = new ClientAnswer(response, requestId);
  const target = await admit(deps.call, arrivalOf(arrival));
  requireJson(request.headers['content-type']);
  const body = await deps.readBody(request);
  const message = readMessage(answer, body);
  if (message === undefined) {
    return;
  }
  const { era, problem } = readEnvelope(request.headers, message);
  const id = message.kind === 'request' ? (message.id ?? null) : null;
  if (problem !== undefined) {
    return answer.sendError(id, problem, 400);
  }
  if (!acceptsAnswers(request.headers.accept)) {
    return answer.sendError(id, notAcceptable, 406);
  }
  const session = era === 'legacy' ? await findSession(deps, arrival, target, message.method) : undefined;
  const post: McpPost = { ...arrival, target, era, answer, message, body, session };
  const isListening = message.method === 'subscriptions/listen';
  const upstreamPost = isGateway(target) ? undefined : { ...post, upstream: target };
  if (upstreamPost !== undefined) {
    const isSame = await canPass(deps, upstreamPost);
    if (isSame === undefined) {
      return;
    }
    if (isSame) {
      const run = () => passThrough(deps, upstreamPost);
      return isListening ? listen(deps, post, callScopes, run) : run();
    }
  }
  if (era === 'legacy' && session === undefined && message.method !== 'initialize') {
    throw missingSession();
  }
  return isListening ? listenComposed(deps, post) : deps.composed.post(post, deps.stopping);
}

/** True when the message can pass as it is; undefined when it was answered, because its upstream could not be asked what it speaks. */
async function canPass(deps: McpEndpointDeps, post: UpstreamPost): Promise<boolean | undefined> {
  try {
    return await isSameEra(deps.eras, post);
  } catch (error) {
    post.answer.sendError(post.message.id ?? null, failureOf(error));
    return undefined;
  }
}

async function handleGet(deps: McpEndpointDeps, arrival: McpArrival): Promise<void> {
  const { request } = arrival;
  requireLegacy(request);
  if (!(request.headers.accept ?? '*/*').match(/text\/event-stream|\*\/\*/)) {
    throw new GatewayError('validation_failed', `A GET opens an event stream: send 'Accept: text/event-stream'.`);
  }
  if (request.headers['mcp-session-id'] === undefined) {
    const target = await admit(deps.call, arrivalOf(arrival), watchScopes);
    const stream = { ...arrival, target, session: undefined };
    // Who sees everybody's decisions must keep the right to; the others see their own.
    const needed = hasScope(arrival.principal, 'gateway:read') ? readScopes : callScopes;
    return listen(deps, stream, needed, () => streamDecisions(deps.watch, stream));
  }
  const target = await admit(deps.call, arrivalOf(arrival));
  const session = await findSession(deps, arrival, target, '');
  const stream = { ...arrival, target, session };
  if (isGateway(target) || session?.bridged === true) {
    // The header that names it is there, so it was found.
    const own = { ...stream, session: session as Session };
    return listen(deps, stream, callScopes, () => deps.composed.openStream(own));
  }
  deps.call.usage.countRequest(target.id);
  const toUpstream = { ...stream, upstream: target };
  const rewrite = deps.lists.rewriteOfStream(toUpstream);
  const run = async () => void (await relayOf(deps, target).openStream({ ...toUpstream, rewrite }));
  return listen(deps, stream, callScopes, run);
}

/** Runs a stream that only listens, and ends it when its caller loses the right to it. */
async function listen(
  deps: McpEndpointDeps,
  stream: McpRequest,
  anyOf: readonly Scope[],
  run: () => Promise<void>,
  end?: () => void,
): Promise<void> {
  const release = guardStream({ config: deps.call.config, stopping: deps.stopping }, stream, anyOf, end);
  try {
    await run();
  } finally {
    release();
  }
}

/** The same for a stream that the gateway itself ends in order (specification 2026-07-28, basic/patterns/subscriptions, section Graceful Closure). */
function listenComposed(deps: McpEndpointDeps, post: McpPost): Promise<void> {
  const ending = new AbortController();
  return listen(
    deps,
    post,
    callScopes,
    () => deps.composed.post(post, ending.signal),
    () => ending.abort(),
  );
}

async function handleDelete(deps: McpEndpointDeps, arrival: McpArrival): Promise<void> {
  requireLegacy(arrival.request);
  const target = await admit(deps.call, arrivalOf(arrival));
  const session = await findSession(deps, arrival, target, '');
  if (session === undefined) {
    throw new GatewayError('validation_failed', `DELETE ends a session: name it with the header 'Mcp-Session-Id'.`);
  }
  await deps.endSession(session);
  if (isGateway(target) || session.bridged === true) {
    await deps.composed.endSession({ ...arrival, target, session });
  } else {
    const ended: UpstreamRequest = { ...arrival, target, upstream: target, session };
    await (target.transport.kind === 'streamable_http'
      ? deps.streamable.endSession(ended)
      : deps.channels.endSession(ended, session));
  }
  sendEmpty(arrival.response, arrival.requestId, 200);
}

/** The session a legacy client names; without one where the gateway itself needs it, 400. */
async function findSession(
  deps: McpEndpointDeps,
  arrival: McpArrival,
  target: Target,
  method: string,
): Promise<Session | undefined> {
  const token = arrival.request.headers['mcp-session-id'];
  if (method === 'initialize') {
    return undefined;
  }
  if (typeof token !== 'string') {
    if (isGateway(target) || target.transport.kind !== 'streamable_http') {
      throw missingSession();
    }
    return undefined;
  }
  const session = await deps.sessions.find(token, arrival.principal, target);
  if (session === undefined) {
    throw new GatewayError('not_found', `The session is unknown or has ended: send 'initialize' for a new one.`);
  }
  return session;
}

function missingSession(): GatewayError {
  return new GatewayError('validation_failed', `The header 'Mcp-Session-Id' is missing: send 'initialize' first.`);
}

const readScopes: readonly Scope[] = ['gateway:read'];
const watchScopes: readonly Scope[] = [...callScopes, ...readScopes];

const notAcceptable = {
  code: -32600,
  message: `The header 'Accept' must allow both 'application/json' and 'text/event-stream'.`,
};

function arrivalOf({ requestId, principal, slug, request }: McpArrival) {
  return { requestId, face: 'mcp' as const, principal, slug, method: request.method ?? '' };
}

/** Any other charset could make the upstream read another message in the same bytes (JSON is UTF-8: RFC 8259 section 8.1). */
const JSON_TYPE = /^application\/json\s*(?:;\s*charset\s*=\s*"?utf-8"?\s*)?$/i;

function requireJson(contentType: string | undefined): void {
  if (contentType === undefined || !JSON_TYPE.test(contentType)) {
    throw new GatewayError('validation_failed', `The header 'Content-Type' must be 'application/json', in UTF-8.`);
  }
}

/** The checked message; undefined when it was refused, and answered so. */
function readMessage(answer: ClientAnswer, body: Buffer): ClientMessage | undefined {
  try {
    return parseMessage(body);
  } catch (error) {
    if (!(error instanceof InvalidMessageError)) {
      throw error;
    }
    answer.sendError(error.id, { code: error.code, message: error.message }, 400);
    return undefined;
  }
}

/** GET and DELETE belong to sessions, which the modern era does not have (specification 2026-07-28, Backward Compatibility). */
function requireLegacy(request: HttpRequest): void {
  const version = request.headers['mcp-protocol-version'];
  if (version === MODERN_VERSION) {
    throw new GatewayError(
      'method_not_allowed',
      `Revision ${MODERN_VERSION} has only POST: listen with 'subscriptions/listen'.`,
    );
  }
  if (version !== undefined && !LEGACY_VERSIONS.includes(String(version))) {
    throw new GatewayError(
      'validation_failed',
      `The header 'MCP-Protocol-Version' names no revision that is known here.`,
    );
  }
}
