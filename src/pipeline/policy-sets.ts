import type { ProjectId } from '../domain/ids.ts';
import type { Policy } from '../domain/policy.ts';
import { createPolicySet, type PolicySet } from '../policy/policy-set.ts';
import type { HotConfig } from '../snapshot/hot-config.ts';

/** The compiled policies of projects. */
export interface PolicySets {
  of(projectId: ProjectId): PolicySet;
}

/** Compiles a project's policies when they are first needed after a change. */
export function createPolicySets(config: Pick<HotConfig, 'getPolicies'>): PolicySets {
  const compiled = new WeakMap<readonly Policy[], PolicySet>();
  return {
    of(projectId) {
      const policies = config.getPolicies(projectId);
      const known = compiled.get(policies);
      if (known !== undefined) {
        return known;
      }
      const made = createPolicySet(policies);
      compiled.set(policies, made);
      return made;
    },
  };
}
