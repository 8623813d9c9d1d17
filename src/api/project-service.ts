import type { ServiceImpl } from '@connectrpc/connect';
import {
  type CreateProjectRequest,
  CreateProjectRequestSchema,
  CreateProjectResponseSchema,
  type DeleteProjectRequest,
  type ListProjectsRequest,
  type ProjectService,
  type UpdateProjectRequest,
} from '../../gen/portcullis/v1/project_service_pb.ts';
import { deleteProject, findProject, insertProject, listProjects, updateProject } from '../db/projects.ts';
import { GatewayError } from '../domain/errors.ts';
import { newId, type ProjectId } from '../domain/ids.ts';
import type { Principal } from '../domain/principal.ts';
import type { Project } from '../domain/project.ts';
import { readWebhook } from './approval-webhook.ts';
import { writeConfig } from './config-write.ts';
import { getCaller } from './context.ts';
import type { ApiDeps } from './deps.ts';
import { fromEffectMessage } from './effect-message.ts';
import { checkEtag, requireWritten } from './etag.ts';
import { requireFullGrants } from './full-grants.ts';
import { readPage } from './page-reading.ts';
import { present } from './present.ts';
import { fromRecordedArgumentsMessage, toProjectMessage } from './project-message.ts';
import { runOnce } from './repeatable.ts';
import { targetProject } from './target-project.ts';

/** Serves ProjectService. */
export function createProjectService(deps: ApiDeps): ServiceImpl<typeof ProjectService> {
  return {
    createProject: (request, context) => createProject(deps, getCaller(context.values), request),
    getProject: async (request, context) => ({
      project: toProjectMessage(await targetProject(deps, getCaller(context.values), request.project)),
    }),
    listProjects: (request, context) => listPage(deps, getCaller(context.values), request),
    updateProject: (request, context) => changeProject(deps, getCaller(context.values), request),
    deleteProject: (request, context) => removeProject(deps, getCaller(context.values), request),
  };
}

async function createProject(deps: ApiDeps, caller: Principal, request: CreateProjectRequest) {
  const approvalWebhook = request.approvalWebhook && (await readWebhook(deps.box, request.approvalWebhook, undefined));
  return runOnce(deps, {
    caller,
    projectId: caller.projectId,
    request,
    schemas: { request: CreateProjectRequestSchema, response: CreateProjectResponseSchema },
    async write({ trx, changed, now }) {
      const project: Project = {
        id: newId<ProjectId>(now),
        slug: request.slug,
        displayName: request.displayName,
        recordedArguments: fromRecordedArgumentsMessage(request.recordedArguments) ?? 'redacted',
        redactedKeys: request.redactedKeys?.keys ?? [],
        ...present({ approvalWebhook }),
        defaultEffect: fromEffectMessage(request.defaultEffect) ?? 'deny',
        revision: 1,
        createTime: now,
        updateTime: now,
      };
      await insertProject(trx, project);
      changed('project', project.id);
      return { project: toProjectMessage(project) };
    },
  });
}

async function listPage(deps: ApiDeps, caller: Principal, request: ListProjectsRequest) {
  if (!deps.isOperator(caller)) {
    return { projects: [toProjectMessage(await targetProject(deps, caller, undefined))] };
  }
  const { items, nextPageToken } = await readPage(deps.paging, {
    scope: { method: 'ListProjects', caller, filter: [] },
    request,
    read: (rows) => listProjects(deps.store.db, rows),
  });
  return { projects: items.map(toProjectMessage), nextPageToken };
}

async function changeProject(deps: ApiDeps, caller: Principal, request: UpdateProjectRequest) {
  requireFullGrants(caller, 'change the project, which decides for all of them');
  const { id } = await targetProject(deps, caller, request.project);
  const { approvalWebhook: webhook } = request;
  const project = await writeConfig(deps.store, async ({ trx, changed, now }) => {
    const old = requireWritten('project', id, await findProject(trx, id));
    checkEtag('project', old, request.etag);
    const changes = present({
      displayName: request.displayName,
      recordedArguments: fromRecordedArgumentsMessage(request.recordedArguments),
      defaultEffect: fromEffectMessage(request.defaultEffect),
      redactedKeys: request.redactedKeys?.keys,
      approvalWebhook: webhook && ((await readWebhook(deps.box, webhook, old.approvalWebhook)) ?? null),
    });
    changed('project', id);
    return requireWritten('project', id, await updateProject(trx, id, old.revision, { ...changes, updateTime: now }));
  });
  return { project: toProjectMessage(project) };
}

async function removeProject(deps: ApiDeps, caller: Principal, request: DeleteProjectRequest) {
  const { id } = await targetProject(deps, caller, request.project);
  await writeConfig(deps.store, async ({ trx, changed }) => {
    const old = await findProject(trx, id);
    if (old === undefined) {
      return;
    }
    checkEtag('project', old, request.etag);
    if (old.slug === 'default') {
      throw new GatewayError('failed_precondition', 'The project "default" cannot be deleted.', {
        metadata: { condition: 'default_project' },
      });
    }
    await deleteProject(trx, id);
    changed('project', id);
  });
  return {};
}
