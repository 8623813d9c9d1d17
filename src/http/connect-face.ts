import type { ConnectRouter, ConnectRouterOptions } from '@connectrpc/connect';
import { connectNodeAdapter } from '@connectrpc/connect-node';
import { createApiContext, type RequestFacts } from '../api/context.ts';
import { GatewayError } from '../domain/errors.ts';
import type { Principal } from '../domain/principal.ts';
import type { HttpRequest } from '../mcp/exchange.ts';
import { sendRefusal } from './edge-refusal.ts';
import type { EdgeRequest } from './edge-request.ts';

export interface ConnectFaceDeps {
  /** The services, with the options they are served with. */
  readonly routes: (router: ConnectRouter) => void;
  readonly options: ConnectRouterOptions;
  readonly authenticate: (request: HttpRequest) => Principal | Promise<Principal>;
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
  return async (edge) => {
    const { request, response } = edge;
    edges.set(request, { edge, facts: await findFacts(deps, edge) });
    response.setHeader('x-request-id', edge.requestId);
    const closed = new Promise<void>((resolve) => response.on('close', resolve));
    handler(request, response);
    await closed;
  };
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
  const message = `There is nothing at '${path}'. MCP clients use /v1/mcp/{slug}; the API is served at /portcullis.v1.{Service}/{Method}.`;
  return new GatewayError('not_found', message);
}
