import { compose } from '../../src/catalogue/compose.ts';
import type { Composition, OfferingMember } from '../../src/catalogue/composition.ts';
import type { Offer } from '../../src/catalogue/offer.ts';
import { type Gateway, type GatewayUpstream, prefixOf } from '../../src/domain/gateway.ts';
import type { Upstream } from '../../src/domain/upstream.ts';
import { gateway as sampleGateway, upstream as sampleUpstream } from '../store/samples.ts';

/** An upstream of a gateway: what the gateway says of it, and what it offers. */
export interface Part extends Partial<GatewayUpstream>, Partial<Omit<Offer, 'tools' | 'upstream' | 'problem'>> {
  readonly slug: string;
  readonly overrides?: GatewayUpstream['tools'];
  readonly offers?: Offer['tools'];
  /** Why not all is known of what it offers. */
  readonly fails?: string;
}

/** A gateway of these upstreams, in this order. */
export function gatewayOf(parts: readonly Part[], change: Partial<Gateway> = {}): Gateway {
  return sampleGateway({ slug: 'all', upstreams: parts.map(entryOf), ...change });
}

/** The members of a gateway, with what they offer. */
export function membersOf(gateway: Gateway, parts: readonly Part[]): OfferingMember[] {
  return parts.map((part) => {
    const entry = entryOf(part);
    const upstream = upstreamOf(part);
    const { timeoutMs } = upstream;
    return { entry, upstream, timeoutMs, prefix: prefixOf(gateway, entry), offer: offerOf(part, upstream) };
  });
}

/** What a gateway of these upstreams offers. */
export function composed(...parts: readonly Part[]): Composition {
  const target = gatewayOf(parts);
  return compose({ target, members: membersOf(target, parts) });
}

/** An upstream that is composed alone, for clients of the other era. */
export function composedAlone(part: Part): Composition {
  const target = upstreamOf(part);
  return compose({
    target,
    members: [
      { entry: entryOf(part), upstream: target, timeoutMs: target.timeoutMs, prefix: '', offer: offerOf(part, target) },
    ],
  });
}

export function upstreamOf({ slug, version = 'v1' }: Part): Upstream {
  return sampleUpstream({ slug, version });
}

/** A tool without arguments. */
export function tool(name: string, description = `Does ${name}.`) {
  return { name, description, inputSchema: { type: 'object' } };
}

function entryOf(part: Part): GatewayUpstream {
  const { slug, version = 'v1', overrides = {}, namePrefix, toolFilter } = part;
  return {
    slug,
    version,
    tools: overrides,
    ...(namePrefix === undefined ? {} : { namePrefix }),
    ...(toolFilter === undefined ? {} : { toolFilter }),
  };
}

function offerOf(part: Part, upstream: Upstream): Offer {
  const { era = 'legacy', capabilities = {}, serverInfo, instructions, offers = [], fails } = part;
  const { prompts = [], resources = [], resourceTemplates = [] } = part;
  const problem = fails === undefined ? undefined : ({ reason: 'unreachable', message: fails } as const);
  const lists = { tools: offers, prompts, resources, resourceTemplates };
  return { upstream, era, capabilities, serverInfo, instructions, ...lists, problem };
}
