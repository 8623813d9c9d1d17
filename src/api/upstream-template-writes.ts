import {
  type CreateUpstreamTemplateRequest,
  CreateUpstreamTemplateRequestSchema,
  CreateUpstreamTemplateResponseSchema,
  type DeleteUpstreamTemplateRequest,
} from '../../gen/portcullis/v1/upstream_template_service_pb.ts';
import type { ConfigWriting } from '../authn/config-writing.ts';
import { deleteUpstreamTemplate, findUpstreamTemplate, insertUpstreamTemplate } from '../db/upstream-templates.ts';
import { GatewayError } from '../domain/errors.ts';
import { newId, type ProjectId, type UpstreamTemplateId } from '../domain/ids.ts';
import type { Principal } from '../domain/principal.ts';
import type { TemplateEntry, UpstreamTemplate } from '../domain/upstream-template.ts';
import { writeConfig } from './config-write.ts';
import type { ApiDeps } from './deps.ts';
import { requireFullGrants } from './full-grants.ts';
import { hidden } from './hidden.ts';
import { runOnce } from './repeatable.ts';
import type { ShippedTemplates } from './shipped-templates.ts';
import { targetProjectId } from './target-project.ts';
import { readTemplateEntry } from './template-entry.ts';
import { toUpstreamTemplateMessage } from './upstream-template-message.ts';
import { createValidationError } from './validation.ts';

export interface TemplateDeps extends ApiDeps {
  readonly shippedTemplates: () => ShippedTemplates;
}

/** What a credential with grants cannot do: others make their upstreams from the templates. */
export const TEMPLATE_ACTION = 'manage templates of upstreams';

/** Adds a template. Throws `validation_failed` for what no upstream can be made from, or `already_exists` when the slug is taken. */
export async function createTemplate(deps: TemplateDeps, caller: Principal, request: CreateUpstreamTemplateRequest) {
  const projectId = await targetProjectId(deps, caller, request.project);
  requireFullGrants(caller, TEMPLATE_ACTION);
  const { entry, violations = [] } = readTemplateEntry(request);
  if (entry === undefined) {
    throw createValidationError(violations);
  }
  return runOnce(deps, {
    caller,
    projectId,
    request,
    schemas: { request: CreateUpstreamTemplateRequestSchema, response: CreateUpstreamTemplateResponseSchema },
    async write(writing) {
      const template = await addTemplate(deps, projectId, entry, writing);
      return { template: toUpstreamTemplateMessage(template) };
    },
  });
}

/** Stores a new template of a project. Throws `already_exists` when the project or the server has one with the slug. */
export async function addTemplate(
  deps: TemplateDeps,
  projectId: ProjectId,
  entry: TemplateEntry,
  { trx, now }: ConfigWriting,
): Promise<UpstreamTemplate> {
  if (deps.shippedTemplates().has(entry.slug)) {
    const message = 'The server ships with a template of this slug. Choose another slug.';
    throw new GatewayError('already_exists', message, { metadata: { field: 'slug' } });
  }
  const template = { ...entry, id: newId<UpstreamTemplateId>(now), projectId, createTime: now };
  await insertUpstreamTemplate(trx, template);
  return template;
}

/** Deletes a template of the project. Throws `failed_precondition` for one that the server ships with. */
export async function removeTemplate(deps: TemplateDeps, caller: Principal, request: DeleteUpstreamTemplateRequest) {
  const projectId = await targetProjectId(deps, caller, request.project);
  requireFullGrants(caller, TEMPLATE_ACTION);
  await writeConfig(deps.store, async ({ trx }) => {
    const template = await findUpstreamTemplate(trx, projectId, request.slug);
    if (template !== undefined) {
      await deleteUpstreamTemplate(trx, template.id);
    } else if (deps.shippedTemplates().has(request.slug)) {
      const message = `The template '${request.slug}' ships with the server and cannot be deleted.`;
      throw new GatewayError('failed_precondition', message, { metadata: { condition: 'built_in' } });
    } else {
      throw hidden('template', request.slug);
    }
  });
  return {};
}
