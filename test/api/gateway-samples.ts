import { fromJson, type JsonObject, type JsonValue, toJson } from '@bufbuild/protobuf';
import { type Gateway as GatewayMessage, GatewaySchema } from '../../gen/portcullis/v1/gateway_pb.ts';
import {
  fromCommonOverridesMessage,
  fromDiscoveryModeMessage,
  fromGatewayUpstreamMessage,
  toGatewayMessage,
} from '../../src/api/gateway-message.ts';
import type { Gateway } from '../../src/domain/gateway.ts';
import type { GatewayId, ProjectId } from '../../src/domain/ids.ts';

type Content = Pick<GatewayMessage, 'displayName' | 'description' | 'commonOverrides' | 'upstreams' | 'discoveryMode'>;

/** A gateway `shared` whose content is given in the JSON form of the contract. */
export function gatewayOf(content: JsonObject): Gateway {
  return withContent(
    {
      id: '0199aaaa-0000-7000-8000-000000000001' as GatewayId,
      projectId: '0199aaaa-0000-7000-8000-000000000002' as ProjectId,
      slug: 'shared',
      version: 'v1',
      revision: 1,
      createTime: 0,
      updateTime: 0,
    },
    fromJson(GatewaySchema, content),
  );
}

/** The gateway with the content of a message. */
export function withContent(
  gateway: Omit<Gateway, 'displayName' | 'description' | 'commonOverrides' | 'upstreams' | 'discoveryMode'>,
  content: Content,
): Gateway {
  return {
    ...gateway,
    displayName: content.displayName,
    description: content.description,
    commonOverrides: fromCommonOverridesMessage(content.commonOverrides),
    upstreams: content.upstreams.map(fromGatewayUpstreamMessage),
    discoveryMode: fromDiscoveryModeMessage(content.discoveryMode) ?? 'list',
  };
}

/** The content of a gateway in the JSON form of the contract, where what is empty is left out. */
export function contentOf(gateway: Gateway | GatewayMessage | undefined): JsonValue {
  const message = gateway === undefined || '$typeName' in gateway ? gateway : toGatewayMessage(gateway);
  if (message === undefined) {
    throw new Error('there is no gateway');
  }
  const json = toJson(GatewaySchema, message, { useProtoFieldName: true }) as JsonObject; // a message is an object
  const keys = ['display_name', 'description', 'common_overrides', 'upstreams', 'discovery_mode'];
  return Object.fromEntries(Object.entries(json).filter(([key]) => keys.includes(key)));
}
