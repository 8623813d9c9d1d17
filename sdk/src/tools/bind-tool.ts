import { type JsonObject, toJson } from '@bufbuild/protobuf';
import { ValueSchema } from '@bufbuild/protobuf/wkt';
import type { CallOptions } from '@connectrpc/connect';
import { ArgumentsError, checkArguments } from '../checked-arguments.ts';
import type { PortcullisClient } from '../client.ts';
import { type ToolAnswer, ToolFailedError, textOf } from './tool-answer.ts';

/** Whose tools a module calls: a gateway or an upstream, by its slug and, unless it is `v1`, its version. */
export type ToolTarget = { readonly version?: string } & (
  | { readonly gateway: string; readonly upstream?: never }
  | { readonly upstream: string; readonly gateway?: never }
);

/**
 * Calls one tool through the gateway. Throws a PortcullisError when the call is refused or fails, a ToolFailedError when the tool says that
 * it failed, and a TypeError for arguments that can't be sent exactly.
 */
export type Tool<Input extends object, Output> =
  // Without a required argument, the arguments may be left out.
  Partial<Input> extends Input
    ? (input?: Input, options?: CallOptions) => Promise<ToolAnswer<Output>>
    : (input: Input, options?: CallOptions) => Promise<ToolAnswer<Output>>;

/** The most that CallTool takes. */
const MAX_BYTES = 1024 * 1024;
const MAX_DEPTH = 48;

/** Makes the function that calls one tool; `name` as the target offers it. */
export function bindTool<Input extends object, Output>(
  client: Pick<PortcullisClient, 'tools'>,
  target: ToolTarget,
  name: string,
): Tool<Input, Output> {
  const { gateway, upstream, version = '' } = target;
  const ref = { value: { case: 'slug', value: gateway ?? upstream ?? '' }, version } as const;
  const to = gateway === undefined ? { upstream: ref } : { gateway: ref };

  async function call(input: Input | undefined, options?: CallOptions): Promise<ToolAnswer<Output>> {
    const answer = await client.tools.callTool({ ...to, name, arguments: toArguments(name, input) }, options);
    const { callId, content, isError } = answer;
    // As the tool's output schema promises.
    const structuredContent = (answer.structuredContent && toJson(ValueSchema, answer.structuredContent)) as Output;
    const told = { callId, content, text: textOf(content), structuredContent };
    if (isError) {
      throw new ToolFailedError(name, told);
    }
    return told;
  }

  return call;
}

function toArguments(name: string, input: object | undefined): JsonObject {
  try {
    return checkArguments(withoutUndefined(input ?? {}), MAX_BYTES);
  } catch (error) {
    throw error instanceof ArgumentsError ? new TypeError(`${name}: ${error.message}`, { cause: error }) : error;
  }
}

/** A copy in which a member that is undefined is absent, as in JSON; what nests too deeply is left for the check to refuse. */
function withoutUndefined(value: object, depth = 0): object {
  const isPlain = Object.getPrototypeOf(value) === Object.prototype;
  if (!isPlain || depth > MAX_DEPTH) {
    return value;
  }
  const members = Object.entries(value).filter(([, member]) => member !== undefined);
  return Object.fromEntries(
    members.map(([key, member]) => [
      key,
      typeof member === 'object' && member !== null ? withoutUndefined(member, depth + 1) : member,
    ]),
  );
}
