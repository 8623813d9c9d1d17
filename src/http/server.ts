import type { Logger } from 'pino';
import { GatewayError } from '../domain/errors.ts';
import { newId } from '../domain/ids.ts';
import type { Principal } from '../domain/principal.ts';
import { sendJson } from '../mcp/answer.ts';
import type { McpArrival } from '../mcp/endpoint.ts';
import type { HttpRequest, HttpResponse } from '../mcp/exchange.ts';
import { APPROVAL_PAGE_PREFIX } from './approval-page.ts';
import { sendRefusal } from './edge-refusal.ts';
import type { EdgeRequest } from './edge-request.ts';
import type { Health } from './health.ts';
import { createInProgress } from './in-progress.ts';
import type { OriginGuard } from './origin-guard.ts';

export interface HttpServerDeps {
  readonly guard: OriginGuard;
  readonly health: Health;
  readonly authenticate: (request: HttpRequest) => Principal | Promise<Principal>;
  readonly mcp: (arrival: McpArrival) => Promise<void>;
  /** Everything that is not MCP: the API. */
  readonly api: (edge: EdgeRequest) => Promise<void>;
  /** The page on which a human answers an approval. */
  readonly approvalPage: (edge: EdgeRequest) => void;
  /** JSON text of the public signing keys. */
  readonly jwks: () => string;
  readonly logger: Logger;
  /** Requests in progress at once, streams that only listen excluded. */
  readonly maxConcurrent?: number;
}

const MCP_PREFIX = '/v1/mcp/';
const REQUEST_ID = /^[A-Za-z0-9_.:/-]{1,64}$/;

/** The edge of both faces: guards, health, routing by path, refusals, and what is in progress. */
export function createHttpServer(deps: HttpServerDeps) {
  /** Responses that a stop waits for; a GET only reads or listens, so it is not among them. */
  const inProgress = createInProgress();
  let isStopping = false;
  let whenIdle = () => {};

  function handle(request: HttpRequest, response: HttpResponse): void {
    const edge = toEdge(request, response);
    if (isStopping) {
      closeAfter(response);
      return sendRefusal(edge, new GatewayError('unavailable', 'The gateway is stopping.', { retryAfterMs: 1_000 }));
    }
    const leave = request.method === 'GET' ? undefined : inProgress.add(response);
    route(deps, edge, inProgress.count())
      .catch((error: unknown) => answerFailure(deps.logger, edge, error))
      .finally(() => {
        leave?.();
        if (inProgress.count() === 0) {
          whenIdle();
        }
      });
  }

  /** Refuses what comes from now on; resolves when nothing is in progress any more, or after `timeoutMs`. */
  function drain(timeoutMs: number): Promise<void> {
    isStopping = true;
    inProgress.forEach(closeAfter);
    if (inProgress.count() === 0) {
      return Promise.resolve();
    }
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, timeoutMs);
      whenIdle = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  return { handle, drain };
}

/** Tells an HTTP/1.1 client not to send its next request here; HTTP/2 has told it with GOAWAY. */
function closeAfter(response: HttpResponse): void {
  if ('shouldKeepAlive' in response) {
    response.shouldKeepAlive = false;
  }
}

function toEdge(request: HttpRequest, response: HttpResponse): EdgeRequest {
  const given = request.headers['x-request-id'];
  const requestId = typeof given === 'string' && REQUEST_ID.test(given) ? given : newId();
  return { request, response, requestId, path: pathOf(request.url ?? '/') };
}

async function route(deps: HttpServerDeps, edge: EdgeRequest, inProgress: number): Promise<void> {
  const { request, response, requestId, path } = edge;
  if (path === '/healthz' || path === '/readyz' || path === '/health') {
    return deps.health.answer(path, response, requestId);
  }
  if (inProgress > (deps.maxConcurrent ?? 10_000)) {
    throw new GatewayError('unavailable', 'The gateway has too many requests in progress.', { retryAfterMs: 1_000 });
  }
  deps.guard.check(request.headers);
  applyCors(deps.guard, request, response);
  if (request.method === 'OPTIONS') {
    return sendJson(response, requestId, 204, '', deps.guard.preflightHeaders(request.headers));
  }
  if (path.startsWith(MCP_PREFIX)) {
    return routeMcp(deps, edge, path.slice(MCP_PREFIX.length));
  }
  if (path.startsWith(APPROVAL_PAGE_PREFIX)) {
    return deps.approvalPage(edge);
  }
  if (path === '/.well-known/jwks.json') {
    return sendJson(response, requestId, 200, deps.jwks());
  }
  return deps.api(edge);
}

async function routeMcp(deps: HttpServerDeps, edge: EdgeRequest, slug: string): Promise<void> {
  const { request, response, requestId } = edge;
  if (request.method !== 'POST' && request.method !== 'GET' && request.method !== 'DELETE') {
    throw new GatewayError('method_not_allowed', 'This address takes GET, POST and DELETE.');
  }
  const authenticate = () => deps.authenticate(request);
  const principal = await authenticate();
  await deps.mcp({ request, response, requestId, principal, slug, authenticate });
}

function applyCors(guard: OriginGuard, request: HttpRequest, response: HttpResponse): void {
  if (request.headers.origin !== undefined) {
    for (const [name, value] of Object.entries(guard.corsHeaders(request.headers.origin))) {
      response.setHeader(name, value);
    }
  }
}

/** What of a path is logged, in UTF-16 code units: strangers choose it. */
const MAX_LOGGED_PATH = 200;

function answerFailure(logger: Logger, edge: EdgeRequest, error: unknown): void {
  const known = error instanceof GatewayError ? error : unknownFailure(error);
  const level = known.reason === 'internal' ? 'error' : known.reason === 'unavailable' ? 'warn' : 'info';
  logger[level](
    { requestId: edge.requestId, path: edge.path.slice(0, MAX_LOGGED_PATH), reason: known.reason, err: known.cause },
    known.message,
  );
  sendRefusal(edge, known);
  if (!edge.response.writableEnded) {
    edge.response.destroy();
  }
}

function pathOf(url: string): string {
  const query = url.indexOf('?');
  return query === -1 ? url : url.slice(0, query);
}

function unknownFailure(error: unknown): GatewayError {
  return new GatewayError('internal', 'The gateway failed to handle the request; its log tells why.', { cause: error });
}
