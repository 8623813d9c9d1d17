import { create } from '@bufbuild/protobuf';
import {
  type UpstreamTemplateContent,
  UpstreamTemplateContentSchema,
} from '../../gen/portcullis/v1/upstream_template_pb.ts';
import {
  type ImportUpstreamTemplateRequest,
  ImportUpstreamTemplateRequestSchema,
  ImportUpstreamTemplateResponseSchema,
} from '../../gen/portcullis/v1/upstream_template_service_pb.ts';
import type { FieldViolation } from '../domain/errors.ts';
import type { Principal } from '../domain/principal.ts';
import type { TemplateEntry } from '../domain/upstream-template.ts';
import type { ImportedContent } from '../templates/server-json/content.ts';
import { DocumentError } from '../templates/server-json/document.ts';
import {
  type DescribedServer,
  readServerJson,
  type ServerSource,
  slugOf,
} from '../templates/server-json/server-json.ts';
import { requireFullGrants } from './full-grants.ts';
import { runOnce } from './repeatable.ts';
import { targetProjectId } from './target-project.ts';
import { toTemplateSettingMessage } from './template-content-message.ts';
import { type ReadEntry, readTemplateEntry } from './template-entry.ts';
import { toUpstreamTemplateMessage } from './upstream-template-message.ts';
import { addTemplate, TEMPLATE_ACTION, type TemplateDeps } from './upstream-template-writes.ts';
import { createValidationError } from './validation.ts';

type ImportRequest = Pick<ImportUpstreamTemplateRequest, 'slug' | 'serverJson' | 'source'>;

/** What a document was made into, and which of its packages or remotes was taken. */
interface Imported {
  readonly entry: TemplateEntry;
  readonly source: string;
}

/** Adds a template made from a `server.json`. Throws `validation_failed` for what can't be used, or `already_exists` for its slug. */
export async function importTemplate(deps: TemplateDeps, caller: Principal, request: ImportUpstreamTemplateRequest) {
  const projectId = await targetProjectId(deps, caller, request.project);
  requireFullGrants(caller, TEMPLATE_ACTION);
  const { entry, source } = readDocument(request);
  return runOnce(deps, {
    caller,
    projectId,
    request,
    schemas: { request: ImportUpstreamTemplateRequestSchema, response: ImportUpstreamTemplateResponseSchema },
    async write(writing) {
      const template = await addTemplate(deps, projectId, entry, writing);
      return { template: toUpstreamTemplateMessage(template), source };
    },
  });
}

function readDocument(request: ImportRequest): Imported {
  try {
    return takeSource(readServerJson(request.serverJson), request);
  } catch (error) {
    throw error instanceof DocumentError ? createValidationError([toViolation(error)]) : error;
  }
}

/** Takes the source that the request names, or the first that can be used. Throws what keeps each of them from it. */
function takeSource(server: DescribedServer, request: ImportRequest): Imported {
  const slug = request.slug || slugOf(server.name);
  if (slug === '') {
    throw createValidationError([
      { field: 'slug', description: 'must be given: none can be made from the name in the document' },
    ]);
  }
  const sources = server.sources.filter(({ name }) => request.source === '' || name === request.source);
  if (sources.length === 0) throw createValidationError([findMissing(server, request.source)]);
  const violations: FieldViolation[] = [];
  for (const source of sources) {
    const attempt = readSource(source, { ...server, slug });
    if (attempt.entry !== undefined) return { entry: attempt.entry, source: source.name };
    violations.push(...attempt.violations);
  }
  throw createValidationError(violations);
}

function readSource(
  source: ServerSource,
  described: Pick<TemplateEntry, 'slug' | 'displayName' | 'description' | 'documentationUrl'>,
): ReadEntry {
  try {
    const read = readTemplateEntry({ ...described, content: toContentMessage(source.read()) });
    if (read.entry !== undefined) return read;
    const field = `server_json.${source.path}`;
    const description = read.violations.map((rule) => `${rule.field} ${rule.description}`).join(', ');
    return { violations: [{ field, description: `makes a template that is not valid: ${description}` }] };
  } catch (error) {
    if (error instanceof DocumentError) return { violations: [toViolation(error)] };
    throw error;
  }
}

function findMissing({ sources }: DescribedServer, wanted: string): FieldViolation {
  const names = sources.map(({ name }) => name);
  return wanted === '' || names.length === 0
    ? { field: 'server_json', description: 'has neither remotes nor packages' }
    : { field: 'source', description: `is not in the document, which has: ${names.slice(0, 20).join(', ')}` };
}

function toContentMessage({ transport, headers, env, settings }: ImportedContent): UpstreamTemplateContent {
  return create(UpstreamTemplateContentSchema, {
    transport: { value: toTransportValue(transport) },
    headers: { ...headers },
    env: { ...env },
    settings: settings.map(toTemplateSettingMessage),
  });
}

function toTransportValue(transport: ImportedContent['transport']) {
  switch (transport.kind) {
    case 'streamable_http':
      return { case: 'streamableHttp' as const, value: { url: transport.url } };
    case 'sse':
      return { case: 'sse' as const, value: { url: transport.url } };
    case 'stdio':
      return { case: 'stdio' as const, value: { command: transport.command, args: [...transport.args] } };
  }
}

function toViolation({ path, description }: DocumentError): FieldViolation {
  return { field: path === '' ? 'server_json' : `server_json.${path}`, description };
}
