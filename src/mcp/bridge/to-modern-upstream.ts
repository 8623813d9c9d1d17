import { MODERN_VERSION } from '../../upstream/gateway-client.ts';
import { isObject, type JsonObject, metaOf, paramsOf } from '../../upstream/message.ts';
import { CAPABILITIES_KEY, VERSION_KEY } from '../envelope.ts';
import { CLIENT_INFO_KEY, LOG_LEVEL_KEY } from './meta-keys.ts';

/** What a modern request says about its client. */
export interface ModernEnvelope {
  /** In the words of the modern era. */
  readonly capabilities: JsonObject;
  readonly clientInfo?: JsonObject | undefined;
  /** Least severe log message the client wants; undefined = none. */
  readonly logLevel?: string | undefined;
}

/** A legacy client's request as a modern upstream reads it; the client's own `_meta`, such as its progress token, stays. */
export function toModernRequest(
  message: JsonObject,
  { capabilities, clientInfo, logLevel }: ModernEnvelope,
): JsonObject {
  // To a legacy client these two mean nothing, to the upstream they would be the answers to its questions.
  const { requestState: _state, inputResponses: _responses, ...params } = paramsOf(message);
  const _meta = {
    ...metaOf(params),
    [VERSION_KEY]: MODERN_VERSION,
    ...(clientInfo === undefined ? {} : { [CLIENT_INFO_KEY]: clientInfo }),
    [CAPABILITIES_KEY]: capabilities,
    ...(logLevel === undefined ? {} : { [LOG_LEVEL_KEY]: logLevel }),
  };
  return { ...message, params: { ...params, _meta } };
}

/** A modern upstream's complete result as a legacy client reads it. */
export function fromModernResult(result: JsonObject): JsonObject {
  const { resultType: _type, ttlMs: _ttl, cacheScope: _scope, ...same } = result;
  return withObjectAsStructure(same);
}

/** Structured content of the legacy era is an object; anything else is put into one, as the official SDK does it. */
function withObjectAsStructure(result: JsonObject): JsonObject {
  const { structuredContent } = result;
  if (structuredContent === undefined || isObject(structuredContent)) {
    return result;
  }
  const content: readonly unknown[] = Array.isArray(result['content']) ? result['content'] : [];
  const hasText = content.some((block) => isObject(block) && block['type'] === 'text');
  const text = { type: 'text', text: JSON.stringify(structuredContent) };
  return {
    ...result,
    content: hasText ? content : [...content, text],
    structuredContent: { result: structuredContent },
  };
}

/** A modern tool's definition as a legacy client reads it: without the schema of a result that is not an object, which it would refuse. */
export function toLegacyTool(definition: JsonObject): JsonObject {
  const { outputSchema, ...others } = definition;
  return outputSchema === undefined || (isObject(outputSchema) && outputSchema['type'] === 'object')
    ? definition
    : others;
}
