import type { GatewayUpstream, ToolOverride } from '../domain/gateway.ts';
import { addressOf } from '../domain/target.ts';
import { passesToolFilter } from '../domain/tool-filter.ts';
import { isObject } from '../upstream/message.ts';
import { type Settlement, settleClaims } from './claims.ts';
import type { CompositionProblem, ExposedTool, OfferingMember } from './composition.ts';
import { NOT_OFFERABLE } from './definition-json.ts';
import { exposedName } from './names.ts';
import { shownTool } from './tool-definition.ts';
import { findUnlisted } from './unlisted.ts';

/** The tools of all members that get a name, in the order of the members. */
export function exposeTools(members: readonly OfferingMember[], isOnly: boolean): Settlement<ExposedTool> {
  const problems: CompositionProblem[] = [];
  const claims = members.flatMap((member) => toolsOf(member, isOnly, problems));
  const settlement = settleClaims('tool', claims, (one, other) => one.tool === other.tool);
  return { ...settlement, problems: [...problems, ...settlement.problems] };
}

function toolsOf(member: OfferingMember, isOnly: boolean, problems: CompositionProblem[]): ExposedTool[] {
  const { entry, upstream, prefix, offer } = member;
  const address = addressOf(upstream);
  const naming = { address, prefix, isOnly };
  const tools: ExposedTool[] = [];
  for (const source of offer.tools) {
    const { name: tool, inputSchema } = source;
    if (typeof tool !== 'string' || !isOffered(entry, tool)) {
      continue;
    }
    const override = overrideOf(entry, tool);
    const name = exposedName(naming, tool, override?.name);
    const { definition, json } = shownTool(source, { address, name, override });
    if (json === undefined) {
      const message = `The tool '${tool}' of the upstream '${address}' is not offered: ${NOT_OFFERABLE}.`;
      problems.push({ upstream: address, name, message });
      continue;
    }
    const ownSchema = isObject(inputSchema) ? inputSchema : undefined;
    tools.push({ name, member, tool, definition, json, override, inputSchema: ownSchema });
  }
  return tools;
}

/** The tool that a name must mean which is not listed because not all that the upstreams offer is known. */
export function findUnlistedTool(
  members: readonly OfferingMember[],
  name: string,
  isOnly: boolean,
): ExposedTool | undefined {
  const unlisted = findUnlisted(members, name);
  if (unlisted === undefined) {
    return undefined;
  }
  const { member, rest } = unlisted;
  const found = unlistedTool(member, unrenamed(member.entry, rest), name);
  const naming = { address: addressOf(member.upstream), prefix: member.prefix, isOnly };
  // A name that a list would show in another form, such as the old one of a renamed tool, is none of the gateway's names.
  return found !== undefined && exposedName(naming, found.tool, found.override?.name) === name ? found : undefined;
}

/** A tool of which only the name is known; undefined when the entry's filter keeps it from being offered. */
export function unlistedTool(member: OfferingMember, tool: string, name: string): ExposedTool | undefined {
  return isOffered(member.entry, tool)
    ? { name, member, tool, definition: { name }, override: overrideOf(member.entry, tool), inputSchema: undefined }
    : undefined;
}

function isOffered({ toolFilter }: GatewayUpstream, tool: string): boolean {
  return toolFilter === undefined || passesToolFilter(toolFilter, tool);
}

function overrideOf({ tools }: GatewayUpstream, tool: string): ToolOverride | undefined {
  return Object.hasOwn(tools, tool) ? tools[tool] : undefined;
}

/** The upstream's name for what the gateway calls `name`. */
function unrenamed(entry: GatewayUpstream, name: string): string {
  return Object.entries(entry.tools).find(([, override]) => override.name === name)?.[0] ?? name;
}
