import type { PolicyId, ProjectId } from '../domain/ids.ts';
import type { Policy } from '../domain/policy.ts';

/** Policies by project. */
export interface PolicyIndex {
  /** Those of one project in any mode: the same array until one of them changes, so that what is made of it can be kept. */
  list(projectId: ProjectId): readonly Policy[];
  put(policy: Policy): void;
  delete(id: PolicyId): void;
  deleteProject(id: ProjectId): void;
}

interface ProjectPolicies {
  readonly byId: Map<PolicyId, Policy>;
  /** Made when it is first asked for after a change. */
  list: readonly Policy[] | undefined;
}

const none: readonly Policy[] = [];

/** An empty index. */
export function createPolicyIndex(): PolicyIndex {
  const projectIds = new Map<PolicyId, ProjectId>();
  const projects = new Map<ProjectId, ProjectPolicies>();
  return {
    list(projectId) {
      const project = projects.get(projectId);
      if (project === undefined) return none;
      project.list ??= [...project.byId.values()];
      return project.list;
    },
    put(policy) {
      const { id, projectId, revision } = policy;
      const project = projects.get(projectId) ?? { byId: new Map(), list: undefined };
      // Read again without a change, it stays the object of which something may have been made.
      if (project.byId.get(id)?.revision === revision) return;
      projects.set(projectId, project);
      projectIds.set(id, projectId);
      project.byId.set(id, policy);
      project.list = undefined;
    },
    delete(id) {
      const projectId = projectIds.get(id);
      const project = projectId === undefined ? undefined : projects.get(projectId);
      if (projectId === undefined || project === undefined) return;
      projectIds.delete(id);
      project.byId.delete(id);
      project.list = undefined;
      if (project.byId.size === 0) projects.delete(projectId);
    },
    deleteProject(id) {
      for (const policyId of projects.get(id)?.byId.keys() ?? []) projectIds.delete(policyId);
      projects.delete(id);
    },
  };
}
