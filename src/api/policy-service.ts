import type { ServiceImpl } from '@connectrpc/connect';
import type {
  GetPolicyRequest,
  ListPoliciesRequest,
  ListPolicyVersionsRequest,
  PolicyService,
} from '../../gen/portcullis/v1/policy_service_pb.ts';
import { listPolicies, listPolicyVersions } from '../db/policies.ts';
import type { Principal } from '../domain/principal.ts';
import { getCaller } from './context.ts';
import type { ApiDeps } from './deps.ts';
import { readPage } from './page-reading.ts';
import { getPolicy } from './policy-access.ts';
import { toPolicyMessage } from './policy-message.ts';
import { createPolicySimulation, type PolicySimulationDeps } from './policy-simulation.ts';
import { toPolicyVersionMessage } from './policy-versions.ts';
import { changePolicy, createPolicy, removePolicy } from './policy-writes.ts';
import { targetProjectId } from './target-project.ts';

export type PolicyServiceDeps = PolicySimulationDeps;

/** Serves PolicyService. */
export function createPolicyService(deps: PolicyServiceDeps): ServiceImpl<typeof PolicyService> {
  return {
    createPolicy: (request, context) => createPolicy(deps, getCaller(context.values), request),
    getPolicy: (request, context) => readPolicy(deps, getCaller(context.values), request),
    listPolicies: (request, context) => listPolicyPage(deps, getCaller(context.values), request),
    listPolicyVersions: (request, context) => listVersionPage(deps, getCaller(context.values), request),
    updatePolicy: (request, context) => changePolicy(deps, getCaller(context.values), request),
    deletePolicy: (request, context) => removePolicy(deps, getCaller(context.values), request),
    simulatePolicy: createPolicySimulation(deps),
  };
}

async function readPolicy(deps: ApiDeps, caller: Principal, request: GetPolicyRequest) {
  const projectId = await targetProjectId(deps, caller, request.project);
  return { policy: toPolicyMessage(await getPolicy(deps.store.db, projectId, request.policy)) };
}

async function listPolicyPage(deps: ApiDeps, caller: Principal, request: ListPoliciesRequest) {
  const projectId = await targetProjectId(deps, caller, request.project);
  const { items, nextPageToken } = await readPage(deps.paging, {
    scope: { method: 'ListPolicies', caller, filter: [projectId] },
    request,
    read: (rows) => listPolicies(deps.store.db, { projectId, ...rows }),
  });
  return { policies: items.map(toPolicyMessage), nextPageToken };
}

async function listVersionPage(deps: ApiDeps, caller: Principal, request: ListPolicyVersionsRequest) {
  const projectId = await targetProjectId(deps, caller, request.project);
  const { id: policyId } = await getPolicy(deps.store.db, projectId, request.policy);
  const { items, nextPageToken } = await readPage(deps.paging, {
    scope: { method: 'ListPolicyVersions', caller, filter: [projectId, policyId] },
    request,
    async read({ afterId, limit }) {
      const beforeVersion = afterId === undefined ? undefined : Number(afterId);
      const versions = await listPolicyVersions(deps.store.db, { policyId, beforeVersion, limit });
      return versions.map((version) => ({ id: String(version.version), version }));
    },
  });
  return { versions: items.map(({ version }) => toPolicyVersionMessage(version)), nextPageToken };
}
