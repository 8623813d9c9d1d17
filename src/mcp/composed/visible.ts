import type { Composition, ExposedPrompt, ExposedResource, ExposedTool } from '../../catalogue/composition.ts';
import type { ListKind } from '../../catalogue/cursor.ts';
import type { ListItem } from '../../catalogue/pages.ts';
import { SEARCH_TOOLS } from '../../catalogue/search-tools.ts';
import type { ToolSearch } from '../../catalogue/tool-search.ts';
import type { Principal } from '../../domain/principal.ts';
import { isGateway, type Target } from '../../domain/target.ts';
import type { ListedCall, Listing } from '../../pipeline/listing.ts';
import type { McpRequest } from '../exchange.ts';

/** What a principal sees of one of a target's lists. */
export function visibleItems(
  listing: Listing,
  { principal, target }: Pick<McpRequest, 'principal' | 'target'>,
  composition: Composition,
  kind: ListKind,
): readonly ListItem[] {
  switch (kind) {
    case 'tools':
      return isSearched(target) ? SEARCH_TOOLS : listing.visible(principal, composition.tools, callOfTool);
    case 'prompts':
      return listing.visible(principal, composition.prompts, ({ member, prompt }) => ({
        upstream: member.upstream,
        method: 'prompts/get',
        tool: prompt,
      }));
    case 'resources':
      return listing.visible(principal, composition.resources, ({ member, upstreamUri }) => ({
        upstream: member.upstream,
        method: 'resources/read',
        tool: upstreamUri,
      }));
    case 'resourceTemplates':
      // What a template can become is not known, so neither is what policies say of it.
      return composition.resourceTemplates;
  }
}

/** False when the principal could never read this resource, so that it need not hear of its changes either. */
export function mayRead(
  listing: Listing,
  principal: Principal,
  { member, upstreamUri }: Pick<ExposedResource, 'member' | 'upstreamUri'>,
): boolean {
  const call = { upstream: member.upstream, method: 'resources/read', tool: upstreamUri };
  return listing.visible(principal, [call], (one) => one).length > 0;
}

/** False when the principal could never get this prompt. */
export function mayGet(
  listing: Listing,
  principal: Principal,
  { member, prompt }: Pick<ExposedPrompt, 'member' | 'prompt'>,
): boolean {
  const call = { upstream: member.upstream, method: 'prompts/get', tool: prompt };
  return listing.visible(principal, [call], (one) => one).length > 0;
}

/** True for a gateway whose tools are found by searching. */
export function isSearched(target: Target): boolean {
  return isGateway(target) && target.discoveryMode === 'search';
}

/** What a principal may find by searching. */
export function searchOf(listing: Listing, principal: Principal, composition: Composition): ToolSearch {
  const { tools } = composition;
  const seen = setOf(listing.visible(principal, tools, callOfTool));
  const listed = setOf(tools);
  const isVisible = (tool: ExposedTool) => listing.visible(principal, [tool], callOfTool).length > 0;
  return { composition, allowed: (tool) => seen.has(tool) || (!listed.has(tool) && isVisible(tool)) };
}

function callOfTool({ member, tool }: ExposedTool): ListedCall {
  return { upstream: member.upstream, method: 'tools/call', tool };
}

const sets = new WeakMap<readonly ExposedTool[], ReadonlySet<ExposedTool>>();

function setOf(tools: readonly ExposedTool[]): ReadonlySet<ExposedTool> {
  const known = sets.get(tools) ?? new Set(tools);
  sets.set(tools, known);
  return known;
}
