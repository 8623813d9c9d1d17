import { create, type JsonObject } from '@bufbuild/protobuf';
import { base64Decode } from '@bufbuild/protobuf/wire';
import { type ContentBlock, ContentBlockSchema } from '../../gen/portcullis/v1/tool_pb.ts';
import { asObject, asText } from './json.ts';
import { present } from './present.ts';

/** One block of a tool's answer as the API shows it; a block of an unknown or broken kind is passed on as it came. */
export function toContentMessage(block: JsonObject): ContentBlock {
  const value = toValue(block) ?? { case: 'other' as const, value: block };
  if (value.case === 'other') {
    return create(ContentBlockSchema, { value });
  }
  const common = present({ annotations: asObject(block['annotations']), meta: asObject(block['_meta']) });
  return create(ContentBlockSchema, { value, ...common });
}

function toValue(block: JsonObject): ContentBlock['value'] | undefined {
  switch (block['type']) {
    case 'text':
      return typeof block['text'] === 'string' ? text(block['text']) : undefined;
    case 'image':
      return media('image', block);
    case 'audio':
      return media('audio', block);
    case 'resource_link':
      return resourceLink(block);
    case 'resource':
      return resource(asObject(block['resource']));
    default:
      return undefined;
  }
}

function text(content: string): ContentBlock['value'] {
  return create(ContentBlockSchema, { value: { case: 'text', value: { text: content } } }).value;
}

function media(kind: 'image' | 'audio', block: JsonObject): ContentBlock['value'] | undefined {
  const data = decode(block['data']);
  if (data === undefined) {
    return undefined;
  }
  return create(ContentBlockSchema, { value: { case: kind, value: { data, mimeType: asText(block['mimeType']) } } })
    .value;
}

function resourceLink(block: JsonObject): ContentBlock['value'] {
  const value = {
    uri: asText(block['uri']),
    name: asText(block['name']),
    title: asText(block['title']),
    description: asText(block['description']),
    mimeType: asText(block['mimeType']),
    ...present({ size: Number.isSafeInteger(block['size']) ? BigInt(block['size'] as number) : undefined }),
  };
  return create(ContentBlockSchema, { value: { case: 'resourceLink', value } }).value;
}

function resource(content: JsonObject | undefined): ContentBlock['value'] | undefined {
  if (content === undefined) {
    return undefined;
  }
  const blob = decode(content['blob']);
  const value = {
    uri: asText(content['uri']),
    mimeType: asText(content['mimeType']),
    content:
      blob === undefined
        ? { case: 'text' as const, value: asText(content['text']) }
        : { case: 'blob' as const, value: blob },
    ...present({ meta: asObject(content['_meta']) }),
  };
  return create(ContentBlockSchema, { value: { case: 'resource', value } }).value;
}

function decode(data: unknown): Uint8Array | undefined {
  try {
    return typeof data === 'string' ? base64Decode(data) : undefined;
  } catch {
    return undefined;
  }
}
