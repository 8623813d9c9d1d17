import type { SearchToolName } from '../../catalogue/search-tools.ts';
import { describeTool, readToolCall, searchTools, unknownTool } from '../../catalogue/tool-search.ts';
import type { JsonObject } from '../../domain/json.ts';
import { look } from '../../pipeline/route.ts';
import { isObject } from '../../upstream/message.ts';
import { argumentsText } from '../arguments-text.ts';
import type { McpPost } from '../exchange.ts';
import { argumentsOf, type CallArguments, govern } from '../govern.ts';
import { endOfValue, findValue } from '../json-text.ts';
import type { ComposedDeps } from './deps.ts';
import { type GivenArguments, toolRoute } from './routes.ts';
import { recordUnoffered } from './unoffered.ts';
import { viewerOf } from './viewer.ts';
import { searchOf } from './visible.ts';

/** Answers a call of one of the three tools of SEARCH mode; what `call_tool` calls is decided and forwarded as that tool. */
export async function answerSearchCall(deps: ComposedDeps, post: McpPost, name: SearchToolName): Promise<void> {
  const args = post.message.params?.['arguments'];
  const given = isObject(args) ? args : undefined;
  if (name === 'call_tool') {
    return callFound(deps, post, given);
  }
  const composition = await deps.compositions.of(post.target, viewerOf(post));
  for (const { upstream } of composition.members) {
    deps.call.usage.countRequest(upstream.id);
  }
  const search = searchOf(deps.listing, post.principal, composition);
  answerResult(post, await (name === 'search_tools' ? searchTools(search, given) : describeTool(search, given)));
}

async function callFound(deps: ComposedDeps, post: McpPost, args: JsonObject | undefined): Promise<void> {
  const wanted = readToolCall(args);
  if ('refusal' in wanted) {
    return answerResult(post, wanted.refusal);
  }
  const { name } = wanted;
  const { found, composition } = await look(deps.compositions, post.target, viewerOf(post), ({ findTool }) =>
    findTool(name),
  );
  if (found !== undefined) {
    return govern(deps, post, toolRoute(deps, post, found, nestedArguments(post)));
  }
  await recordUnoffered(deps, post, { noun: 'tool', name, arguments: nestedArguments(post).arguments });
  answerResult(post, await unknownTool(searchOf(deps.listing, post.principal, composition), name));
}

/** The arguments inside of those of `call_tool`. */
function nestedArguments({ message }: McpPost): GivenArguments {
  const outer = argumentsOf(message);
  const outerText = argumentsText(message.text);
  const start = outerText === undefined ? undefined : findValue(outerText, 0, 'arguments');
  const text =
    outerText === undefined || start === undefined ? undefined : outerText.slice(start, endOfValue(outerText, start));
  const inner = isObject(outer.arguments) ? outer.arguments['arguments'] : undefined;
  const exact: CallArguments =
    outer.exactText === undefined ? { arguments: inner } : { arguments: inner, exactText: text ?? outer.exactText };
  return { arguments: exact, text: () => text, isNested: true };
}

/** The result of a tool of the gateway's own. */
function answerResult({ message, era, answer }: McpPost, result: JsonObject): void {
  const complete = era === 'modern' ? { resultType: 'complete', ...result } : result;
  answer.sendJson(200, JSON.stringify({ jsonrpc: '2.0', id: message.id, result: complete }));
}
