import { create, type DescMethodUnary, type Message } from '@bufbuild/protobuf';
import type { ConnectRouter, HandlerContext, Interceptor, MethodImpl, UnaryRequest } from '@connectrpc/connect';

/** A unary method with everything that a request to it passes after the gate. */
export interface UnaryMethod {
  readonly method: DescMethodUnary;
  /** Interceptors and implementation, for a context that goes with this one request. */
  readonly run: (message: Message, context: HandlerContext) => Promise<Message>;
}

/** The unary methods that routes register, by path. */
export function collectUnaryMethods(
  routes: (router: ConnectRouter) => void,
  interceptors: readonly Interceptor[],
): ReadonlyMap<string, UnaryMethod> {
  const found = new Map<string, UnaryMethod>();
  const router: ConnectRouter = {
    handlers: [],
    service(service, implementation) {
      for (const method of service.methods) {
        const handler = implementation[method.localName as keyof typeof implementation];
        if (method.methodKind === 'unary' && handler !== undefined) {
          // The router's types tie each handler to its method; a loop over them cannot.
          const bound = (handler as MethodImpl<DescMethodUnary>).bind(implementation);
          const unary = method as DescMethodUnary; // its methodKind says so
          found.set(`/${service.typeName}/${method.name}`, {
            method: unary,
            run: createRun(unary, bound, interceptors),
          });
        }
      }
      return router;
    },
    rpc: () => router,
  };
  routes(router);
  return found;
}

function createRun(
  method: DescMethodUnary,
  handler: MethodImpl<DescMethodUnary>,
  interceptors: readonly Interceptor[],
): UnaryMethod['run'] {
  return async (message, context) => {
    const invoke: Parameters<Interceptor>[0] = async (request) => ({
      stream: false,
      service: method.parent,
      method,
      header: none,
      trailer: none,
      // Only this method's own requests come here.
      message: create(method.output, await handler((request as UnaryRequest).message, context)),
    });
    const next = interceptors.reduceRight((inner, interceptor) => interceptor(inner), invoke);
    const response = await next({
      stream: false,
      service: method.parent,
      method,
      requestMethod: 'POST',
      url: context.url,
      header: none,
      contextValues: context.values,
      get signal() {
        return context.signal;
      },
      message,
    });
    return response.message as Message;
  };
}

/** Interceptors and handlers here work without headers. */
const none = new Headers();
