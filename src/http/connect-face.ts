import type { ConnectRouter, ConnectRouterOptions } from '@connectrpc/connect';
import { connectNodeAdapter } from '@connectrpc/connect-node';
import { createApiContext, type RequestFacts } from '../api/context.ts';
import { GatewayError } from '../domain/errors.ts';
import type { Principal } from '../domain/principal.ts';
import { onClose } from '../mcp/answer.ts';
import type { HttpRequest, HttpResponse } from '../mcp/exchange.ts';
import { readBody } from './body.ts';
import { sendRefusal } from './edge-refusal.ts';
import type { EdgeRequest } from './edge-request.ts';
import { createUnaryAdapter } from './unary-adapter.ts';

export interface ConnectFaceDeps {
  /** The services, with the options they are served with. */
  readonly routes: (router: ConnectRouter) => void;
  readonly options: ConnectRouterOptions;
  readonly authenticate: (request: HttpRequest) => Principal | Promise<Principal>;
  /** Time a client has to send its request. */
  readonly requestTimeoutMs: number;
  /** Largest request message in bytes. */
  readonly maxRequestBytes: number;
}

/** Serves the API over gRPC, gRPC-Web and Connect; who calls is known before any of the body is read. */
export function createConnectFace(deps: ConnectFaceDeps): (edge: EdgeRequest) => Promise<void> {
  const edges = new WeakMap<object, { edge: EdgeRequest; facts: RequestFacts }>();
  const handler = connectNodeAdapter({
    ...deps.options,
    routes: deps.routes,
    contextValues: (request) => createApiContext(edges.get(request)?.facts ?? { requestId: '' }),
    fallback: (request) => {
      const edge = edges.get(request)?.edge;
      if (edge !== undefined) {
        sendRefusal(edge, unknownPath(edge.path));
      }
    },
  });
  const unary = createUnaryAdapter({
    ...deps,
    readBody: (request) => readBody(request, { maxBytes: deps.maxRequestBytes, timeoutMs: deps.requestTimeoutMs }),
  });
  let strangers = 0;
  return async (edge) => {
    const { request, response } = edge;
    // Before anything is waited for: a client that leaves meanwhile would not be noticed.
    const closed = new Promise<void>((resolve) => onClose(response, resolve));
    const facts = await findFacts(deps, edge);
    const weight = facts.caller === undefined ? 1 : 0;
    if (strangers + weight > MAX_STRANGERS) {
      throw new GatewayError('unavailable', 'Too many requests without a credential.', { retryAfterMs: 1_000 });
    }
    strangers += weight;
    edges.set(request, { edge, facts });
    response.setHeader('x-request-id', edge.requestId);
    const found = unary.find(edge);
    if (found !== undefined) {
      await unary.serve(found, edge, createApiContext(facts)).finally(() => {
        strangers -= weight;
      });
      return;
    }
    const release = limitBody(request, response, deps.requestTimeoutMs);
    handler(request, response);
    await closed;
    release();
    strangers -= weight;
  };
}

/** Requests without a valid credential that may be in progress at once. */
const MAX_STRANGERS = 100;

/** Cuts off a request whose body is not complete in time: no method of the API takes a stream. The returned function ends the watch. */
function limitBody(request: HttpRequest, response: HttpResponse, timeoutMs: number): () => void {
  const timer = setTimeout(() => {
    if (!request.complete) {
      response.destroy();
    }
  }, timeoutMs);
  return () => clearTimeout(timer);
}

async function findFacts(deps: ConnectFaceDeps, { request, requestId }: EdgeRequest): Promise<RequestFacts> {
  const authenticate = () => deps.authenticate(request);
  const facts = { requestId, clientAddress: request.socket.remoteAddress ?? '', authenticate };
  try {
    return { ...facts, caller: await authenticate() };
  } catch (error) {
    if (error instanceof GatewayError) {
      return { ...facts, refusal: error };
    }
    throw error;
  }
}

function unknownPath(path: string): GatewayError {
  const message = `There is nothing at '${path.slice(0, 200)}'. MCP clients use /v1/mcp/{slug}; the API is served at /portcullis.v1.{Service}/{Method}.`;
  return new GatewayError('not_found', message);
}
