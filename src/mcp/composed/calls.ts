import type { Composition, ExposedTool } from '../../catalogue/composition.ts';
import { isSearchTool } from '../../catalogue/search-tools.ts';
import { look } from '../../pipeline/route.ts';
import { argumentsText } from '../arguments-text.ts';
import type { McpPost } from '../exchange.ts';
import { argumentsOf, govern, type Route } from '../govern.ts';
import { InvalidMessageError } from '../json-rpc.ts';
import { missingParam, targetOf } from '../methods.ts';
import { findParamMismatch } from '../param-header-check.ts';
import type { ComposedDeps } from './deps.ts';
import { promptRoute, resourceRoute, toolRoute } from './routes.ts';
import { answerSearchCall } from './search-calls.ts';
import { type Noun, refuseUnoffered } from './unoffered.ts';
import { viewerOf } from './viewer.ts';
import { isSearched } from './visible.ts';

/** Answers `tools/call`. */
export function callTool(deps: ComposedDeps, post: McpPost): Promise<void> {
  const name = post.message.params?.['name'];
  if (isSearched(post.target) && typeof name === 'string' && isSearchTool(name)) {
    return answerSearchCall(deps, post, name);
  }
  return governNamed(
    deps,
    post,
    'tool',
    (composition, tool) => composition.findTool(tool),
    (tool) => {
      requireParamHeaders(post, tool);
      const { message } = post;
      const given = { arguments: argumentsOf(message), text: () => argumentsText(message.text), isNested: false };
      return toolRoute(deps, post, tool, given);
    },
  );
}

/** Answers `prompts/get`. */
export function getPrompt(deps: ComposedDeps, post: McpPost): Promise<void> {
  return governNamed(
    deps,
    post,
    'prompt',
    (composition, name) => composition.findPrompt(name),
    (prompt) => promptRoute(deps, post, prompt),
  );
}

/** Answers `resources/read`. */
export function readResource(deps: ComposedDeps, post: McpPost): Promise<void> {
  return governNamed(
    deps,
    post,
    'resource',
    (composition, uri) => composition.findResource(uri),
    (resource) => resourceRoute(deps, post, resource),
  );
}

/** Decides and forwards a request for what it names, or refuses it where nothing of that name is offered. */
async function governNamed<Found>(
  deps: ComposedDeps,
  post: McpPost,
  noun: Noun,
  find: (composition: Composition, name: string) => Found | undefined,
  routeTo: (found: Found) => Route,
): Promise<void> {
  const { tool: name = '', missing } = targetOf(post.message);
  if (missing !== undefined) {
    return post.answer.sendError(post.message.id ?? null, missingParam(missing));
  }
  const { found, composition } = await look(deps.compositions, post.target, viewerOf(post), (known) =>
    find(known, name),
  );
  return found === undefined
    ? refuseUnoffered(deps, post, { noun, name, arguments: argumentsOf(post.message) }, composition)
    : govern(deps, post, routeTo(found));
}

/** Refuses headers that do not repeat the arguments as the tool that the client was shown asks for. */
function requireParamHeaders({ era, request, message }: McpPost, { definition }: ExposedTool): void {
  const args = message.params?.['arguments'];
  const mismatch = era === 'modern' ? findParamMismatch(request.headers, definition['inputSchema'], args) : undefined;
  if (mismatch !== undefined) {
    throw new InvalidMessageError(-32020, `Header mismatch: ${mismatch}`);
  }
}
