import type { JsonObject } from '../domain/json.ts';
import { addressOf } from '../domain/target.ts';
import type { CompositionProblem, ExposedResource, Member, OfferingMember } from './composition.ts';
import { definitionJson, NOT_OFFERABLE } from './definition-json.ts';

/** The resources of a gateway, or its templates of resources. */
export interface ExposedResources {
  /** By exposed URI, in the order of the members. */
  readonly byUri: ReadonlyMap<string, ExposedResource>;
  /** URIs that several upstreams have, so that alone they do not tell which one is meant. */
  readonly shared: ReadonlySet<string>;
  readonly problems: readonly CompositionProblem[];
}

/** The form of a URI that says whose it is: `slug+uri`. */
export function addressedUri(member: Member, uri: string): string {
  return `${addressOf(member.upstream)}+${uri}`;
}

/** The resources of all members under their own URIs, but for those that several members have. */
export function exposeResources(members: readonly OfferingMember[], key: 'uri' | 'uriTemplate'): ExposedResources {
  const shared = sharedUris(members, key);
  const byUri = new Map<string, ExposedResource>();
  const problems: CompositionProblem[] = [];
  for (const member of members) {
    const own = new Set<string>();
    for (const source of sourcesOf(member, key)) {
      const upstreamUri = source[key];
      if (typeof upstreamUri !== 'string' || own.has(upstreamUri)) {
        continue;
      }
      own.add(upstreamUri);
      const uri = shared.has(upstreamUri) ? addressedUri(member, upstreamUri) : upstreamUri;
      const definition = uri === upstreamUri ? source : { ...source, [key]: uri };
      const json = definitionJson(definition);
      if (json === undefined || byUri.has(uri)) {
        problems.push(
          problemOf(member, uri, json === undefined ? NOT_OFFERABLE : 'another upstream has one of this URI'),
        );
      } else {
        byUri.set(uri, { uri, member, upstreamUri, definition, json });
      }
    }
  }
  return { byUri, shared, problems };
}

function sourcesOf({ offer }: OfferingMember, key: 'uri' | 'uriTemplate'): readonly JsonObject[] {
  return key === 'uri' ? offer.resources : offer.resourceTemplates;
}

function sharedUris(members: readonly OfferingMember[], key: 'uri' | 'uriTemplate'): ReadonlySet<string> {
  const holders = new Map<unknown, Member>();
  const shared = new Set<string>();
  for (const member of members) {
    for (const { [key]: uri } of sourcesOf(member, key)) {
      if (typeof uri === 'string' && (holders.get(uri) ?? member) !== member) {
        shared.add(uri);
      }
      holders.set(uri, member);
    }
  }
  return shared;
}

function problemOf({ upstream }: Member, name: string, why: string): CompositionProblem {
  const address = addressOf(upstream);
  return { upstream: address, name, message: `A resource of the upstream '${address}' is not offered: ${why}.` };
}
