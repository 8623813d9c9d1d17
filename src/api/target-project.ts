import type { Kysely } from 'kysely';
import type { ProjectRef } from '../../gen/portcullis/v1/project_pb.ts';
import type { Database } from '../db/database.ts';
import { findProject, findProjectBySlug } from '../db/projects.ts';
import type { ProjectId } from '../domain/ids.ts';
import type { Principal } from '../domain/principal.ts';
import type { Project } from '../domain/project.ts';
import type { IsOperator } from './access.ts';
import { hidden } from './hidden.ts';

export interface TargetProjectDeps {
  readonly store: { readonly db: Kysely<Database> };
  readonly isOperator: IsOperator;
}

/** Id of the project a request is about: the caller's own, or the one it names. Throws `permission_denied` when it may not. */
export async function targetProjectId(
  deps: TargetProjectDeps,
  caller: Principal,
  ref: ProjectRef | undefined,
): Promise<ProjectId> {
  return ref === undefined ? caller.projectId : (await targetProject(deps, caller, ref)).id;
}

/** The project a request is about. Throws `permission_denied` when the caller may not name it, or it does not exist. */
export async function targetProject(
  deps: TargetProjectDeps,
  caller: Principal,
  ref: ProjectRef | undefined,
): Promise<Project> {
  const { db } = deps.store;
  const project =
    ref?.value.case === 'slug'
      ? await findProjectBySlug(db, ref.value.value)
      : await findProject(db, (ref?.value.value ?? caller.projectId) as ProjectId); // an id, or anything that finds nothing
  if (project === undefined || (project.id !== caller.projectId && !deps.isOperator(caller))) {
    throw hidden('project', ref?.value.value ?? caller.projectId);
  }
  return project;
}
