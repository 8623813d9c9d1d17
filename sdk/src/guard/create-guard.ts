import type { PortcullisClient } from '../client.ts';
import { authorizeCall } from './authorize-call.ts';
import { type DeniedResult, toDeniedResult } from './denial.ts';
import { checkGuardOptions, type GuardOptions } from './guard-options.ts';
import { readHandlerCall } from './handler-call.ts';

/**
 * Wraps the handler of a tool. What it returns takes the same parameters: `(args, extra)`, `(extra)` for a tool without an input schema, or
 * `(args)`.
 */
export type Guard = <Params extends readonly unknown[], Result>(
  toolName: string,
  handler: (...params: Params) => Result | Promise<Result>,
) => (...params: Params) => Promise<Result | DeniedResult>;

/**
 * Makes a guard for the handlers of tools: before a handler runs, the gateway is asked whether the agent may make this call with these
 * arguments. A denied call is answered with a tool result that says so, and its handler never runs. What the handler itself throws passes
 * unchanged. Throws a TypeError for options that can't work.
 */
export function createGuard(client: Pick<PortcullisClient, 'tools'>, options: GuardOptions): Guard {
  const settings = checkGuardOptions(options);
  return (toolName, handler) =>
    async (...params) => {
      const denial = await authorizeCall(client, settings, readHandlerCall(toolName, params));
      return denial === undefined ? handler(...params) : toDeniedResult(denial);
    };
}
