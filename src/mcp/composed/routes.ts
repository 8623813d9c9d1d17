import type { ExposedPrompt, ExposedResource, ExposedTool, Member } from '../../catalogue/composition.ts';
import type { JsonObject } from '../../domain/json.ts';
import { isGateway } from '../../domain/target.ts';
import { isObject } from '../../upstream/message.ts';
import type { McpPost } from '../exchange.ts';
import { argumentsOf, type CallArguments, type Route } from '../govern.ts';
import type { ClientMessage } from '../json-rpc.ts';
import { withParams } from '../message-rewrite.ts';
import { addArguments } from './final-arguments.ts';
import { type ForwardDeps, type Forwarding, forwardTo } from './forward.ts';

/** The arguments of a tool call, and what finds their JSON as the client wrote it. */
export interface GivenArguments {
  readonly arguments: CallArguments;
  readonly text: () => string | undefined;
  /** True where they are not the `params.arguments` of the client's request. */
  readonly isNested: boolean;
}

/** The way of a tool call. */
export function toolRoute(deps: ForwardDeps, post: McpPost, tool: ExposedTool, given: GivenArguments): Route {
  const { member, override, inputSchema } = tool;
  const final = addArguments(override, given.arguments, given.text);
  const argumentsText = final.text ?? (given.isNested ? (given.text() ?? '{}') : undefined);
  const isRenamed = given.isNested || tool.name !== tool.tool;
  const isChanged = argumentsText !== undefined;
  const changes: JsonObject = {
    ...(isRenamed ? { name: tool.tool } : {}),
    ...(isChanged ? { arguments: final.arguments.arguments ?? {} } : {}),
  };
  const texts = new Map(isChanged ? [['arguments', argumentsText]] : []);
  const route = routeTo(deps, post, member, tool.tool, { changes, texts, forwarding: { inputSchema, isChanged } });
  return { ...route, arguments: final.arguments };
}

/** The way of a `prompts/get`. */
export function promptRoute(
  deps: ForwardDeps,
  post: McpPost,
  { member, prompt }: Pick<ExposedPrompt, 'member' | 'prompt'>,
): Route {
  const isRenamed = post.message.params?.['name'] !== prompt;
  return routeTo(deps, post, member, prompt, { changes: isRenamed ? { name: prompt } : {} });
}

/** The way of a `resources/read`. */
export function resourceRoute(
  deps: ForwardDeps,
  post: McpPost,
  { member, upstreamUri }: Pick<ExposedResource, 'member' | 'upstreamUri'>,
): Route {
  const uri = post.message.params?.['uri'];
  if (uri === upstreamUri) {
    return routeTo(deps, post, member, upstreamUri, { changes: {} });
  }
  const mapResult = (result: JsonObject) => withContentsOf(result, upstreamUri, String(uri));
  return routeTo(deps, post, member, upstreamUri, { changes: { uri: upstreamUri }, forwarding: { mapResult } });
}

interface Rewriting {
  readonly changes: JsonObject;
  readonly texts?: ReadonlyMap<string, string>;
  readonly forwarding?: Omit<Forwarding, 'post' | 'upstream' | 'timeoutMs'>;
}

function routeTo(deps: ForwardDeps, post: McpPost, member: Member, tool: string, rewriting: Rewriting): Route {
  const { target } = post;
  const { changes, texts, forwarding } = rewriting;
  const isSame = Object.keys(changes).length === 0;
  return {
    upstream: member.upstream,
    ...(isGateway(target) ? { gateway: target } : {}),
    tool,
    arguments: argumentsOf(post.message),
    forward: (current, call, committed) => {
      const rewritten = isSame ? current : withMessage(current, withParams(current.message, changes, texts));
      const { timeoutMs } = member.entry;
      // As it is now: after a wait it may be a newer one.
      return forwardTo(deps, { ...forwarding, post: rewritten, upstream: call.upstream, timeoutMs }, committed);
    },
  };
}

/** The same request with another message. */
export function withMessage(post: McpPost, message: ClientMessage): McpPost {
  return { ...post, message, body: Buffer.from(message.text) };
}

/** The result of a read under the URI by which the client asked. */
function withContentsOf(result: JsonObject, upstreamUri: string, uri: string): JsonObject {
  const { contents } = result;
  if (!Array.isArray(contents)) {
    return result;
  }
  const renamed = contents.map((item: unknown) =>
    isObject(item) && item['uri'] === upstreamUri ? { ...item, uri } : item,
  );
  return { ...result, contents: renamed };
}
