import type { UpstreamTemplateContent } from '../../gen/portcullis/v1/upstream_template_pb.ts';
import type { FieldViolation } from '../domain/errors.ts';
import type { TemplateEntry } from '../domain/upstream-template.ts';
import { readTemplateContent } from './template-content.ts';

/** A template as it is described from outside, by a request, a document or the catalogue. */
export interface DescribedTemplate {
  readonly slug: string;
  readonly displayName: string;
  readonly description: string;
  readonly documentationUrl: string;
  readonly content?: UpstreamTemplateContent | undefined;
}

/** The template that is described, or what is wrong with it. */
export type ReadEntry =
  | { readonly entry: TemplateEntry; readonly violations?: never }
  | { readonly entry?: never; readonly violations: readonly FieldViolation[] };

/** Reads and checks a template whose texts keep to the schema. */
export function readTemplateEntry({ content: message, ...described }: DescribedTemplate): ReadEntry {
  if (message === undefined) return { violations: [{ field: 'content', description: 'must be set' }] };
  const { content, violations = [] } = readTemplateContent(message);
  const all = [
    ...checkDocumentationUrl(described.documentationUrl),
    ...violations.map(({ field, description }) => ({ field: `content.${field}`, description })),
  ];
  if (content === undefined || all.length > 0) return { violations: all };
  const { slug, displayName, description, documentationUrl } = described;
  return { entry: { slug, displayName, description, documentationUrl, content } };
}

/** People follow the link from a console, so it may lead to web pages only. */
function checkDocumentationUrl(text: string): FieldViolation[] {
  const description = 'must be an http or https URL, or empty';
  return text === '' || isWebPage(text) ? [] : [{ field: 'documentation_url', description }];
}

/** True for the address of a web page. */
export function isWebPage(text: string): boolean {
  return /^https?:\/\//i.test(text) && URL.canParse(text);
}
