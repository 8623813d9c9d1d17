import type { ServiceImpl } from '@connectrpc/connect';
import type {
  GetUpstreamTemplateRequest,
  ListUpstreamTemplatesRequest,
  UpstreamTemplateService,
} from '../../gen/portcullis/v1/upstream_template_service_pb.ts';
import type { Principal } from '../domain/principal.ts';
import { getCaller } from './context.ts';
import { hidden } from './hidden.ts';
import { readPage } from './page-reading.ts';
import { targetProjectId } from './target-project.ts';
import { findTemplate, listTemplates } from './template-access.ts';
import { importTemplate } from './template-import.ts';
import { toUpstreamTemplateMessage } from './upstream-template-message.ts';
import { createTemplate, removeTemplate, type TemplateDeps } from './upstream-template-writes.ts';

/** Serves UpstreamTemplateService. */
export function createUpstreamTemplateService(deps: TemplateDeps): ServiceImpl<typeof UpstreamTemplateService> {
  return {
    createUpstreamTemplate: (request, context) => createTemplate(deps, getCaller(context.values), request),
    importUpstreamTemplate: (request, context) => importTemplate(deps, getCaller(context.values), request),
    getUpstreamTemplate: (request, context) => readTemplate(deps, getCaller(context.values), request),
    listUpstreamTemplates: (request, context) => listPage(deps, getCaller(context.values), request),
    deleteUpstreamTemplate: (request, context) => removeTemplate(deps, getCaller(context.values), request),
  };
}

async function readTemplate(deps: TemplateDeps, caller: Principal, request: GetUpstreamTemplateRequest) {
  const projectId = await targetProjectId(deps, caller, request.project);
  const template = await findTemplate(deps.store.db, deps.shippedTemplates(), projectId, request.slug);
  if (template === undefined) {
    throw hidden('template', request.slug);
  }
  return { template: toUpstreamTemplateMessage(template) };
}

async function listPage(deps: TemplateDeps, caller: Principal, request: ListUpstreamTemplatesRequest) {
  const projectId = await targetProjectId(deps, caller, request.project);
  const { items, nextPageToken } = await readPage(deps.paging, {
    scope: { method: 'ListUpstreamTemplates', caller, filter: [projectId] },
    request,
    async read({ afterId: afterSlug, limit }) {
      const page = { projectId, afterSlug, limit };
      const templates = await listTemplates(deps.store.db, deps.shippedTemplates(), page);
      return templates.map((template) => ({ id: template.slug, template }));
    },
  });
  return { templates: items.map(({ template }) => toUpstreamTemplateMessage(template)), nextPageToken };
}
