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
import { writeConfig } from './config-write.ts';
import { getCaller } from './context.ts';
import type { ApiDeps } from './deps.ts';
import { checkEtag, staleEtag } from './etag.ts';
import { cutPage } from './paging.ts';
import { fromEffectMessage, fromRuleMessages } from './policy-message.ts';
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

function createProject(deps: ApiDeps, caller: Principal, request: CreateProjectRequest) {
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
        policyRules: fromRuleMessages(request.policyRules?.rules ?? []),
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
  const scope = { method: 'ListProjects', caller, filter: [] };
  const page = await deps.paging.open(scope, request);
  const rows = await listProjects(deps.store.db, { afterId: page.after, limit: page.size + 1 });
  const { items, last } = cutPage(rows, page);
  return { projects: items.map(toProjectMessage), nextPageToken: await deps.paging.next(scope, last) };
}

async function changeProject(deps: ApiDeps, caller: Principal, request: UpdateProjectRequest) {
  if (caller.grants !== 'all') {
    const message =
      'A credential whose grants name upstreams cannot change the project, which decides for all of them.';
    throw new GatewayError('permission_denied', message);
  }
  const { id } = await targetProject(deps, caller, request.project);
  const changes = present({
    displayName: request.displayName,
    recordedArguments: fromRecordedArgumentsMessage(request.recordedArguments),
    policyRules: request.policyRules && fromRuleMessages(request.policyRules.rules),
    defaultEffect: fromEffectMessage(request.defaultEffect),
  });
  const project = await writeConfig(deps.store, async ({ trx, changed, now }) => {
    const old = await findProject(trx, id);
    if (old === undefined) {
      throw staleEtag('project', id);
    }
    checkEtag('project', old, request.etag);
    changed('project', id);
    return updateProject(trx, id, old.revision, { ...changes, updateTime: now });
  });
  if (project === undefined) {
    throw staleEtag('project', id);
  }
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
