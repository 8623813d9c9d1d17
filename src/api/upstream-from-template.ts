import { create } from '@bufbuild/protobuf';
import type { Kysely } from 'kysely';
import {
  UpstreamEnvVariableSchema,
  UpstreamHeaderSchema,
  UpstreamTransportSchema,
} from '../../gen/portcullis/v1/upstream_pb.ts';
import type { CreateUpstreamRequest } from '../../gen/portcullis/v1/upstream_service_pb.ts';
import type { TemplateUse } from '../../gen/portcullis/v1/upstream_template_pb.ts';
import type { Database } from '../db/database.ts';
import type { ProjectId } from '../domain/ids.ts';
import { fillTemplate } from '../templates/fill-template.ts';
import { present } from './present.ts';
import type { ShippedTemplates } from './shipped-templates.ts';
import { findTemplate } from './template-access.ts';
import { readValue } from './template-content-message.ts';
import { toTransportMessage } from './transport-message.ts';
import { createValidationError, findBrokenRules } from './validation.ts';

/** The fields of a CreateUpstreamRequest that a template can fill in. */
export interface UpstreamParts extends Pick<CreateUpstreamRequest, 'transport' | 'headers' | 'env'> {
  readonly templateSlug?: string;
}

/**
 * The transport, headers and environment of a request, from the template that it names or else its own. Throws `validation_failed` when it
 * has both, when there is no such template, and for settings that do not fit it.
 */
export async function fillFromTemplate(
  { shippedTemplates }: { readonly shippedTemplates: () => ShippedTemplates },
  db: Kysely<Database>,
  projectId: ProjectId,
  request: CreateUpstreamRequest,
): Promise<UpstreamParts> {
  const { template: use, transport, headers, env } = request;
  if (use === undefined) {
    return { ...present({ transport }), headers, env };
  }
  requireNothingElse({ transport, headers: headers[0], env: env[0] });
  const template = await findTemplate(db, shippedTemplates(), projectId, use.slug);
  if (template === undefined) {
    const description = 'is not the slug of a template of the project or of one that the server ships with';
    throw createValidationError([{ field: 'template.slug', description }]);
  }
  const { filled, violations = [] } = fillTemplate(template.content, settingsOf(use));
  if (filled === undefined) {
    throw createValidationError(violations);
  }
  const parts = {
    transport: toTransportMessage(filled.transport),
    headers: Object.entries(filled.headers).map(([name, value]) => create(UpstreamHeaderSchema, { name, value })),
    env: Object.entries(filled.env).map(([name, value]) => create(UpstreamEnvVariableSchema, { name, value })),
  };
  requireSchema(parts);
  return { ...parts, templateSlug: template.slug };
}

function settingsOf(use: TemplateUse): Record<string, unknown> {
  return Object.fromEntries(Object.entries(use.settings).map(([name, value]) => [name, readValue(value)]));
}

function requireNothingElse(fields: Readonly<Record<string, unknown>>): void {
  const set = Object.keys(fields).filter((field) => fields[field] !== undefined);
  if (set.length > 0) {
    const description = 'must not be set together with template, which fills it in';
    throw createValidationError(set.map((field) => ({ field, description })));
  }
}

/** What stands in a place may make a text longer than a request could hold. */
function requireSchema({ transport, headers, env }: UpstreamParts): void {
  const broken = [
    ...(transport === undefined ? [] : findBrokenRules(UpstreamTransportSchema, transport)),
    ...headers.flatMap((header) => findBrokenRules(UpstreamHeaderSchema, header)),
    ...env.flatMap((variable) => findBrokenRules(UpstreamEnvVariableSchema, variable)),
  ];
  if (broken.length > 0) {
    const description = broken.map((rule) => `${rule.field} ${rule.description}`).join(', ');
    throw createValidationError([
      { field: 'template.settings', description: `make an upstream that is not valid: ${description}` },
    ]);
  }
}
