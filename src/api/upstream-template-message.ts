import { create } from '@bufbuild/protobuf';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import {
  type UpstreamTemplate as TemplateMessage,
  UpstreamTemplateSchema,
} from '../../gen/portcullis/v1/upstream_template_pb.ts';
import type { TemplateEntry, UpstreamTemplate } from '../domain/upstream-template.ts';
import { toTemplateContentMessage } from './template-content-message.ts';

/** The template as the API shows it; one that the server ships with has no id and no time. */
export function toUpstreamTemplateMessage(template: TemplateEntry | UpstreamTemplate): TemplateMessage {
  const { slug, displayName, description, documentationUrl, content } = template;
  const message = create(UpstreamTemplateSchema, {
    slug,
    displayName,
    description,
    documentationUrl,
    content: toTemplateContentMessage(content),
  });
  return 'id' in template
    ? { ...message, id: template.id, createTime: timestampFromMs(template.createTime) }
    : { ...message, builtIn: true };
}
