import { create, fromJson, type JsonObject, type JsonValue } from '@bufbuild/protobuf';
import { ValueSchema } from '@bufbuild/protobuf/wkt';
import { type Tool, ToolSchema } from '../../gen/portcullis/v1/tool_pb.ts';
import { type CallToolResponse, CallToolResponseSchema } from '../../gen/portcullis/v1/tool_service_pb.ts';
import { GatewayError } from '../domain/errors.ts';
import type { OfferedTool } from '../pipeline/tool-calls.ts';
import { toContentMessage } from './content-message.ts';
import { asObject, asText } from './json.ts';
import { present } from './present.ts';

/** The tool as the API shows it; what the upstream got wrong is left out. */
export function toToolMessage({ name, definition, upstream, upstreamTool }: OfferedTool): Tool {
  return create(ToolSchema, {
    name,
    title: asText(definition['title']),
    description: asText(definition['description']),
    ...present({
      inputSchema: asObject(definition['inputSchema']),
      outputSchema: asObject(definition['outputSchema']),
      annotations: asObject(definition['annotations']),
      meta: asObject(definition['_meta']),
    }),
    upstreamSlug: upstream.slug,
    upstreamVersion: upstream.version,
    upstreamToolName: upstreamTool,
  });
}

/**
 * The answer of a call as the API shows it. Throws `bad_gateway` when it is not a result of `tools/call`, and `failed_precondition` when
 * the tool asks its client for input, which this face cannot give.
 */
export function toCallToolMessage(callId: string, result: unknown): CallToolResponse {
  const object = asObject(result);
  const metadata = { call_id: callId };
  if (object === undefined) {
    throw new GatewayError('bad_gateway', 'The upstream answered with something that is not a result.', { metadata });
  }
  if (object['resultType'] === 'input_required') {
    const message = 'The tool asks its client for input. Call it over MCP with a client that can answer.';
    throw new GatewayError('failed_precondition', message, { metadata: { ...metadata, condition: 'input_required' } });
  }
  const content = object['content'];
  return create(CallToolResponseSchema, {
    callId,
    content: Array.isArray(content) ? content.map(asObject).filter(isPresent).map(toContentMessage) : [],
    isError: object['isError'] === true,
    ...present({
      structuredContent: toValue(object['structuredContent'], metadata),
      meta: asObject(object['_meta']),
    }),
  });
}

function isPresent(object: JsonObject | undefined): object is JsonObject {
  return object !== undefined;
}

function toValue(json: JsonValue | undefined, metadata: Readonly<Record<string, string>>) {
  try {
    return json === undefined ? undefined : fromJson(ValueSchema, json);
  } catch (cause) {
    throw new GatewayError('bad_gateway', 'The structured content of the answer is nested too deep for this face.', {
      metadata,
      cause,
    });
  }
}
