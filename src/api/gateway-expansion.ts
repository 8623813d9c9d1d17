import { create } from '@bufbuild/protobuf';
import {
  type ExpandedUpstream,
  ExpandedUpstreamSchema,
  type GatewayConfig,
  GatewayConfigSchema,
} from '../../gen/portcullis/v1/gateway_service_pb.ts';
import type { Upstream as UpstreamMessage } from '../../gen/portcullis/v1/upstream_pb.ts';
import { type Gateway, type GatewayCommonOverrides, type GatewayUpstream, prefixOf } from '../domain/gateway.ts';
import { addressOf } from '../domain/target.ts';
import type { Upstream } from '../domain/upstream.ts';
import { intersectToolFilters } from '../policy/intersect-filters.ts';
import { toCommonOverridesMessage, toDiscoveryModeMessage, toGatewayUpstreamMessage } from './gateway-message.ts';
import { present } from './present.ts';
import { toUpstreamMessage } from './upstream-message.ts';

/**
 * The expanded view of a gateway: what holds for each upstream, where what the common overrides set is told there only. `upstreams` has
 * those that exist, by {@link addressOf}.
 */
export function expandGateway(gateway: Gateway, upstreams: ReadonlyMap<string, Upstream>): GatewayConfig {
  const { id, slug, version, commonOverrides, discoveryMode } = gateway;
  return create(GatewayConfigSchema, {
    id,
    slug,
    version,
    ...present({ commonOverrides: toCommonOverridesMessage(commonOverrides) }),
    expandedUpstreams: gateway.upstreams.map((entry) => expandEntry(gateway, entry, upstreams.get(addressOf(entry)))),
    discoveryMode: toDiscoveryModeMessage(discoveryMode),
  });
}

function expandEntry(gateway: Gateway, entry: GatewayUpstream, upstream: Upstream | undefined): ExpandedUpstream {
  return create(ExpandedUpstreamSchema, {
    slug: entry.slug,
    version: entry.version,
    ...present({ config: upstream && toEffectiveMessage(upstream, entry, gateway.commonOverrides) }),
    gatewayOverrides: toGatewayUpstreamMessage(entry),
    effectivePrefix: prefixOf(gateway, entry),
  });
}

function toEffectiveMessage(
  upstream: Upstream,
  entry: GatewayUpstream,
  common: GatewayCommonOverrides,
): UpstreamMessage {
  const { inputGuardrails: _input, outputGuardrails: _output, ...base } = upstream;
  const input = common.inputGuardrails === undefined ? (entry.inputGuardrails ?? upstream.inputGuardrails) : undefined;
  const output =
    common.outputGuardrails === undefined ? (entry.outputGuardrails ?? upstream.outputGuardrails) : undefined;
  const { toolFilter = NO_FILTER, timeoutMs = upstream.timeoutMs } = entry;
  return toUpstreamMessage({
    ...base,
    ...present({ inputGuardrails: input, outputGuardrails: output }),
    toolFilter: intersectToolFilters(upstream.toolFilter, toolFilter),
    timeoutMs,
  });
}

const NO_FILTER = { allowedTools: [], deniedTools: [] };
