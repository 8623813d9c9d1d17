import type { AskedClients, Via } from './asked-clients.ts';
import { declaresCapability } from './channel.ts';
import { type InFlight, SUBSCRIPTION_KEY } from './in-flight.ts';
import { errorAnswer, type JsonObject, metaOf, paramsOf } from './message.ts';
import type { Routes } from './routes.ts';

export interface IncomingDeps {
  readonly routes: Routes;
  readonly asked: AskedClients;
  /** Sends to the upstream. */
  readonly tell: (message: JsonObject) => void;
  /** A modern upstream has ended this subscription. */
  readonly onListenEnd: (listen: InFlight) => void;
}

export type Incoming = ReturnType<typeof createIncoming>;

/** What concerns every client of a connection, and not one request (specification 2025-11-25, server). */
const FOR_EVERYONE = /\/list_changed$|^notifications\/resources\/updated$/;

/** Makes what takes the requests and notifications of an upstream to the clients they are for (mcp.md, 9 and 18). */
export function createIncoming({ routes, asked, tell, onListenEnd }: IncomingDeps) {
  /** `requestId` is that of the request on whose stream it came: then that request's client is meant. */
  function takeRequest(message: JsonObject, method: string, requestId: number | undefined): void {
    if (method === 'ping') {
      tell({ jsonrpc: '2.0', id: message['id'], result: {} });
      return;
    }
    const via = pick(method, requestId);
    if (via === undefined) {
      tell(errorAnswer(message['id'], -32601, `no connected client supports ${method}`));
    } else if (asked.isFull) {
      tell(errorAnswer(message['id'], -32603, 'too many requests wait for answers of clients'));
    } else {
      asked.ask(message, via);
    }
  }

  function pick(method: string, requestId: number | undefined): Via | undefined {
    if (requestId === undefined) {
      return routes.pickFor(method);
    }
    const request = routes.inFlight.get(requestId);
    return request !== undefined && routes.mayAsk && declaresCapability(request.client, method) ? request : undefined;
  }

  function takeNotification(message: JsonObject, method: string, requestId: number | undefined): void {
    const params = paramsOf(message);
    const subscription = metaOf(params)[SUBSCRIPTION_KEY];
    if (subscription !== undefined) {
      routes.findListen(subscription)?.deliverSubscribed(message);
    } else if (method === 'notifications/progress') {
      const token = params['progressToken'];
      (typeof token === 'number' ? routes.inFlight.get(token) : undefined)?.deliverProgress(message);
    } else if (method === 'notifications/cancelled') {
      takeCancellation(message, params);
    } else if (FOR_EVERYONE.test(method)) {
      routes.deliverToAll(message, requestId);
    } else if (requestId === undefined) {
      routes.deliverToOwner(message);
    } else {
      routes.inFlight.get(requestId)?.deliver(message);
    }
  }

  /** A modern upstream ends a subscription, or a legacy one takes back a request of its own. */
  function takeCancellation(message: JsonObject, params: JsonObject): void {
    const listen = routes.findListen(params['requestId']);
    if (listen === undefined) {
      asked.cancel(message, params);
    } else {
      listen.deliver({ ...message, params: { ...params, requestId: listen.clientId } });
      onListenEnd(listen);
    }
  }

  return { takeRequest, takeNotification };
}
