import type { PortcullisClient } from '../client.ts';
import { authorizeCall } from './authorize-call.ts';
import { AuthorizationDeniedError } from './denial.ts';
import { checkGuardOptions, type GuardOptions } from './guard-options.ts';
import { readHandlerCall } from './handler-call.ts';

/** An McpServer of the MCP SDK 1.x or 2.x. */
export interface GuardableServer {
  readonly server: object;
  registerTool(...params: never[]): unknown;
}

export type GuardMiddlewareOptions = GuardOptions & {
  /** Asks the gateway. */
  readonly client: Pick<PortcullisClient, 'tools'>;
};

type AnyFunction = (...params: unknown[]) => unknown;
/** Resolves when the call may be made; rejects with an AuthorizationDeniedError. */
type Authorize = (toolName: string, params: readonly unknown[]) => Promise<void>;

/** Where both SDKs keep a server's tools by name. */
const REGISTRY = '_registeredTools';
/** What runs a tool: `handler` in 1.x, `executor` in 2.x. */
const RUNS_TOOL: ReadonlySet<PropertyKey> = new Set(['handler', 'executor']);
/** A schema may be a function too. */
const RUNS_NOTHING: ReadonlySet<PropertyKey> = new Set([
  'enable',
  'disable',
  'update',
  'remove',
  'scopeChallenge',
  'inputSchema',
  'outputSchema',
]);

/**
 * Guards all tools of an McpServer, those it has and those it gets, however they are registered, renamed or updated. The gateway is asked
 * after the SDK has validated the arguments, about the arguments that the handler gets. A denied call throws an AuthorizationDeniedError in
 * place of its handler, which the SDK answers as a tool result with `isError` and the error's message.
 *
 * Throws a TypeError for options that can't work, and for a server that it can't guard. A `tools/call` handler of one's own, set with
 * `server.setRequestHandler`, goes past the server's tools: guard it with createGuard.
 */
export function guardMiddleware(server: GuardableServer, options: GuardMiddlewareOptions): void {
  const settings = checkGuardOptions(options);
  const { client } = options;
  const authorize: Authorize = async (toolName, params) => {
    const denial = await authorizeCall(client, settings, readHandlerCall(toolName, params));
    if (denial !== undefined) {
      throw new AuthorizationDeniedError(denial);
    }
  };
  const tools = getRegistry(server);
  for (const tool of Object.values(tools)) {
    checkTool(tool);
  }
  Object.defineProperty(server, REGISTRY, { value: guardRegistry(tools, authorize), writable: false });
}

function getRegistry(server: object): object {
  const tools: unknown = Object.getOwnPropertyDescriptor(server, REGISTRY)?.value;
  if (!isObject(tools)) {
    throw new TypeError(`This is no McpServer that guardMiddleware can guard: wrap its handlers with createGuard.`);
  }
  return tools;
}

/** The registry as the server shall see it: every tool in it asks first, under the name by which it is looked up. */
function guardRegistry(tools: object, authorize: Authorize): object {
  return new Proxy(tools, {
    get(target, name) {
      const tool: unknown = Reflect.get(target, name);
      return typeof name === 'string' && Object.hasOwn(target, name) && isObject(tool)
        ? guardTool(tool, (params) => authorize(name, params))
        : tool;
    },
    set(target, name, tool) {
      checkTool(tool);
      return Reflect.set(target, name, tool);
    },
  });
}

function guardTool(tool: object, authorize: (params: readonly unknown[]) => Promise<void>): object {
  return new Proxy(tool, {
    get(target, key) {
      const value: unknown = Reflect.get(target, key);
      return RUNS_TOOL.has(key) ? guardRunner(value, authorize) : value;
    },
  });
}

/** Guards a handler, or the `createTask` of a handler that makes tasks. */
function guardRunner(runner: unknown, authorize: (params: readonly unknown[]) => Promise<void>): unknown {
  const guard =
    (run: AnyFunction, self?: object) =>
    async (...params: unknown[]) => {
      await authorize(params);
      return Reflect.apply(run, self, params);
    };
  if (isFunction(runner)) {
    return guard(runner);
  }
  const createTask = isObject(runner) ? Reflect.get(runner, 'createTask') : undefined;
  if (!isObject(runner) || !isFunction(createTask)) {
    throw new TypeError('The handler of this tool is neither a function nor one that makes tasks.');
  }
  return new Proxy(runner, {
    get: (target, key) => (key === 'createTask' ? guard(createTask, target) : Reflect.get(target, key)),
  });
}

/** Throws when a tool has functions that this module does not know: one of them may run the tool, past the guard. */
function checkTool(tool: unknown): void {
  if (!isObject(tool) || ![...RUNS_TOOL].some((key) => key in tool)) {
    throw new TypeError(
      'This version of the MCP SDK is not known to guardMiddleware: wrap the handlers with createGuard.',
    );
  }
  for (const [key, { value }] of Object.entries(Object.getOwnPropertyDescriptors(tool))) {
    if (isFunction(value) && !RUNS_TOOL.has(key) && !RUNS_NOTHING.has(key)) {
      throw new TypeError(
        `This version of the MCP SDK has tools with '${key}', which guardMiddleware does not know: wrap the handlers with createGuard.`,
      );
    }
  }
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
}

function isFunction(value: unknown): value is AnyFunction {
  return typeof value === 'function';
}
