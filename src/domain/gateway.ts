import type { GuardrailConfig } from './guardrail-config.ts';
import type { GatewayId, ProjectId } from './ids.ts';
import type { JsonObject } from './json.ts';
import type { ToolFilter } from './upstream.ts';

/** Changes to one tool, for the clients of one gateway; an absent field changes nothing. */
export interface ToolOverride {
  /** The name behind the prefix. */
  readonly name?: string;
  readonly description?: string;
  /** Added to calls that lack them. */
  readonly argumentDefaults?: JsonObject;
  /** In every call, whatever the client says; hidden from it. */
  readonly fixedArguments?: JsonObject;
}

/** An upstream of a gateway, with what the gateway changes about it. */
export interface GatewayUpstream {
  readonly slug: string;
  readonly version: string;
  readonly inputGuardrails?: GuardrailConfig;
  readonly outputGuardrails?: GuardrailConfig;
  /** By the upstream's own names; its own filter holds too. */
  readonly toolFilter?: ToolFilter;
  /** Absent = the upstream's slug, or nothing where it is the only upstream; '' = nothing. */
  readonly namePrefix?: string;
  /** By the upstream's own names. */
  readonly tools: Readonly<Record<string, ToolOverride>>;
  /** Absent = the upstream's own. */
  readonly timeoutMs?: number;
}

/** What holds for all upstreams of a gateway, and wins over what is said elsewhere. */
export interface GatewayCommonOverrides {
  readonly inputGuardrails?: GuardrailConfig;
  readonly outputGuardrails?: GuardrailConfig;
  readonly toolDefinitionGuardrails?: GuardrailConfig;
}

/** How clients find tools: all of them by `tools/list`, or three tools to search with. */
export type DiscoveryMode = 'list' | 'search';

/** Several upstreams composed behind one slug. Immutable; a change makes a new object with a higher revision. */
export interface Gateway {
  readonly id: GatewayId;
  readonly projectId: ProjectId;
  readonly slug: string;
  readonly version: string;
  readonly displayName: string;
  readonly description: string;
  readonly commonOverrides: GatewayCommonOverrides;
  /** In the order of their lists; each (slug, version) once. */
  readonly upstreams: readonly GatewayUpstream[];
  readonly discoveryMode: DiscoveryMode;
  /** Unix milliseconds; absent = active. */
  readonly deleteTime?: number;
  readonly revision: number;
  readonly createTime: number;
  readonly updateTime: number;
}

/** What stands before the names of an entry's tools and prompts, `_` included; '' = nothing. */
export function prefixOf(
  gateway: Pick<Gateway, 'upstreams'>,
  entry: Pick<GatewayUpstream, 'slug' | 'namePrefix'>,
): string {
  const prefix = entry.namePrefix ?? (gateway.upstreams.length === 1 ? '' : entry.slug);
  return prefix === '' ? '' : `${prefix}_`;
}
