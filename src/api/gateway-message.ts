import { create } from '@bufbuild/protobuf';
import { durationFromMs, durationMs, timestampFromMs } from '@bufbuild/protobuf/wkt';
import {
  type GatewayCommonOverrides as CommonOverridesMessage,
  DiscoveryMode as DiscoveryModeMessage,
  GatewayCommonOverridesSchema,
  type Gateway as GatewayMessage,
  GatewaySchema,
  type GatewayUpstream as GatewayUpstreamMessage,
  GatewayUpstreamSchema,
  type ToolOverride as ToolOverrideMessage,
  ToolOverrideSchema,
} from '../../gen/portcullis/v1/gateway_pb.ts';
import type {
  DiscoveryMode,
  Gateway,
  GatewayCommonOverrides,
  GatewayUpstream,
  ToolOverride,
} from '../domain/gateway.ts';
import { DEFAULT_VERSION } from '../domain/target.ts';
import { fromEnumMessage } from './enum-message.ts';
import { etagOf } from './etag.ts';
import { fromGuardrailConfigMessage, toGuardrailConfigMessage } from './guardrail-config-message.ts';
import { asObject } from './json.ts';
import { present } from './present.ts';

const DISCOVERY_MODES: Readonly<Record<DiscoveryMode, DiscoveryModeMessage>> = {
  list: DiscoveryModeMessage.LIST,
  search: DiscoveryModeMessage.SEARCH,
};

/** The gateway as it is stored. */
export function toGatewayMessage(gateway: Gateway): GatewayMessage {
  return create(GatewaySchema, {
    id: gateway.id,
    projectId: gateway.projectId,
    slug: gateway.slug,
    version: gateway.version,
    displayName: gateway.displayName,
    description: gateway.description,
    ...present({ commonOverrides: toCommonOverridesMessage(gateway.commonOverrides) }),
    upstreams: gateway.upstreams.map(toGatewayUpstreamMessage),
    discoveryMode: toDiscoveryModeMessage(gateway.discoveryMode),
    etag: etagOf(gateway),
    createTime: timestampFromMs(gateway.createTime),
    updateTime: timestampFromMs(gateway.updateTime),
    ...(gateway.deleteTime !== undefined && { deleteTime: timestampFromMs(gateway.deleteTime) }),
  });
}

/** The common overrides as the API shows them; undefined when there are none. */
export function toCommonOverridesMessage(common: GatewayCommonOverrides): CommonOverridesMessage | undefined {
  const { inputGuardrails, outputGuardrails, toolDefinitionGuardrails } = common;
  const set = present({
    inputGuardrails: inputGuardrails && toGuardrailConfigMessage(inputGuardrails),
    outputGuardrails: outputGuardrails && toGuardrailConfigMessage(outputGuardrails),
    toolDefinitionGuardrails: toolDefinitionGuardrails && toGuardrailConfigMessage(toolDefinitionGuardrails),
  });
  return Object.keys(set).length === 0 ? undefined : create(GatewayCommonOverridesSchema, set);
}

/** An entry of a gateway as it is stored. */
export function toGatewayUpstreamMessage(entry: GatewayUpstream): GatewayUpstreamMessage {
  const { slug, version, inputGuardrails, outputGuardrails, toolFilter, namePrefix, tools, timeoutMs } = entry;
  return create(GatewayUpstreamSchema, {
    slug,
    version,
    ...present({
      inputGuardrails: inputGuardrails && toGuardrailConfigMessage(inputGuardrails),
      outputGuardrails: outputGuardrails && toGuardrailConfigMessage(outputGuardrails),
      toolFilter: toolFilter && {
        allowedTools: [...toolFilter.allowedTools],
        deniedTools: [...toolFilter.deniedTools],
      },
      namePrefix,
      timeout: timeoutMs === undefined ? undefined : durationFromMs(timeoutMs),
    }),
    tools: mapValues(tools, toToolOverrideMessage),
  });
}

/** The discovery mode as the API shows it. */
export function toDiscoveryModeMessage(mode: DiscoveryMode): DiscoveryModeMessage {
  return DISCOVERY_MODES[mode];
}

/** The discovery mode of a request; undefined when it is not set. */
export function fromDiscoveryModeMessage(message: DiscoveryModeMessage | undefined): DiscoveryMode | undefined {
  return fromEnumMessage(DISCOVERY_MODES, message);
}

/** The common overrides of a request; unset = none. */
export function fromCommonOverridesMessage(message: CommonOverridesMessage | undefined): GatewayCommonOverrides {
  const { inputGuardrails, outputGuardrails, toolDefinitionGuardrails } = message ?? {};
  return present({
    inputGuardrails: inputGuardrails && fromGuardrailConfigMessage(inputGuardrails),
    outputGuardrails: outputGuardrails && fromGuardrailConfigMessage(outputGuardrails),
    toolDefinitionGuardrails: toolDefinitionGuardrails && fromGuardrailConfigMessage(toolDefinitionGuardrails),
  });
}

/** An entry of a request. */
export function fromGatewayUpstreamMessage(message: GatewayUpstreamMessage): GatewayUpstream {
  const { slug, version, inputGuardrails, outputGuardrails, toolFilter, namePrefix, tools, timeout } = message;
  return {
    slug,
    version: version || DEFAULT_VERSION,
    ...present({
      inputGuardrails: inputGuardrails && fromGuardrailConfigMessage(inputGuardrails),
      outputGuardrails: outputGuardrails && fromGuardrailConfigMessage(outputGuardrails),
      toolFilter: toolFilter && { allowedTools: toolFilter.allowedTools, deniedTools: toolFilter.deniedTools },
      namePrefix,
      timeoutMs: timeout && durationMs(timeout),
    }),
    tools: mapValues(tools, fromToolOverrideMessage),
  };
}

function toToolOverrideMessage(override: ToolOverride): ToolOverrideMessage {
  const { name, description, argumentDefaults, fixedArguments } = override;
  return create(ToolOverrideSchema, {
    ...present({
      name,
      description,
      argumentDefaults: asObject(argumentDefaults),
      fixedArguments: asObject(fixedArguments),
    }),
  });
}

function fromToolOverrideMessage(message: ToolOverrideMessage): ToolOverride {
  const { name, description, argumentDefaults, fixedArguments } = message;
  return present({ name, description, argumentDefaults, fixedArguments });
}

function mapValues<From, To>(map: Readonly<Record<string, From>>, convert: (value: From) => To): Record<string, To> {
  return Object.fromEntries(Object.entries(map).map(([key, value]) => [key, convert(value)]));
}
