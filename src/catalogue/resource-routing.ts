import type { ExposedResource, OfferingMember } from './composition.ts';
import { addressedUri, type ExposedResources } from './exposed-resources.ts';
import { type MatchBudget, parseUriTemplate, type UriTemplate } from './uri-template.ts';

/** Where a resource is read, and the URI it has there. */
export type ResourceRoute = Pick<ExposedResource, 'member' | 'upstreamUri'>;

/** Which upstream the URIs of a gateway belong to. */
export interface ResourceRouting {
  /** As a client names it: listed, matched by a template, `slug+uri`, or of the only upstream that has resources. */
  findResource(uri: string): ResourceRoute | undefined;
  findTemplate(uriTemplate: string): ResourceRoute | undefined;
}

interface MemberTemplates {
  readonly member: OfferingMember;
  readonly templates: readonly UriTemplate[];
}

/** What one upstream's templates may cost for one URI: about ten milliseconds, and a hundred times what honest ones need. */
const MATCH_BUDGET = 4_000_000;

/** Makes the routing of a gateway's resources. Templates are read when a URI first needs them. */
export function createResourceRouting(
  members: readonly OfferingMember[],
  resources: () => ExposedResources,
  templates: () => ExposedResources,
): ResourceRouting {
  let read: readonly MemberTemplates[] | undefined;

  function findResource(uri: string): ResourceRoute | undefined {
    const { byUri, shared } = resources();
    const known = byUri.get(uri) ?? findAddressed(members, uri);
    if (known !== undefined || shared.has(uri)) {
      return known;
    }
    read ??= members.map((member) => ({ member, templates: readTemplates(member) }));
    const matching = findMatching(read, uri);
    const [first] = matching;
    // Two upstreams whose templates mean the URI equally: only `slug+uri` tells which.
    const member = matching.length > 1 ? undefined : (first ?? findOnlyHolder(members));
    return member && { member, upstreamUri: uri };
  }

  function findTemplate(uriTemplate: string): ResourceRoute | undefined {
    const { byUri, shared } = templates();
    const known = byUri.get(uriTemplate) ?? findAddressed(members, uriTemplate);
    if (known !== undefined || shared.has(uriTemplate)) {
      return known;
    }
    const member = findOnlyHolder(members);
    return member && { member, upstreamUri: uriTemplate };
  }

  return { findResource, findTemplate };
}

function findAddressed(members: readonly OfferingMember[], uri: string): ResourceRoute | undefined {
  const member = members.find((member) => uri.startsWith(addressedUri(member, '')));
  return member && { member, upstreamUri: uri.slice(addressedUri(member, '').length) };
}

function readTemplates({ offer }: OfferingMember): readonly UriTemplate[] {
  return offer.resourceTemplates.flatMap(({ uriTemplate }) => {
    const template = typeof uriTemplate === 'string' ? parseUriTemplate(uriTemplate) : undefined;
    return template === undefined ? [] : [template];
  });
}

/** The members with the template that fixes most of the URI. */
function findMatching(all: readonly MemberTemplates[], uri: string): readonly OfferingMember[] {
  let most = -1;
  let found: OfferingMember[] = [];
  for (const { member, templates } of all) {
    const fixed = fixedBy(templates, uri);
    if (fixed > most) {
      most = fixed;
      found = [member];
    } else if (fixed === most && fixed >= 0) {
      found.push(member);
    }
  }
  return found;
}

function fixedBy(templates: readonly UriTemplate[], uri: string): number {
  const budget: MatchBudget = { left: MATCH_BUDGET };
  let most = -1;
  for (const template of templates) {
    if (template.fixedLength > most && template.matches(uri, budget)) {
      most = template.fixedLength;
    }
  }
  return most;
}

/** The member that must have a resource which none lists: the only one with resources or, if none is known to have any, the only unknown one. */
function findOnlyHolder(members: readonly OfferingMember[]): OfferingMember | undefined {
  const holders = members.filter(hasResources);
  const possible = holders.length > 0 ? holders : members.filter(({ offer }) => offer.problem !== undefined);
  return possible.length === 1 ? possible[0] : undefined;
}

function hasResources({ offer }: OfferingMember): boolean {
  return (
    offer.capabilities['resources'] !== undefined || offer.resources.length > 0 || offer.resourceTemplates.length > 0
  );
}
