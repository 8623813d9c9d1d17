import type { ServiceImpl } from '@connectrpc/connect';
import type { AgentService, GetAgentRequest, ListAgentsRequest } from '../../gen/portcullis/v1/agent_service_pb.ts';
import { listAgents } from '../db/agents.ts';
import type { Principal } from '../domain/principal.ts';
import { getAgent } from './agent-access.ts';
import { toAgentMessage } from './agent-message.ts';
import { changeAgent, createAgent, removeAgent } from './agent-writes.ts';
import { getCaller } from './context.ts';
import type { ApiDeps } from './deps.ts';
import { readPage } from './page-reading.ts';
import { targetProjectId } from './target-project.ts';

/** Serves AgentService. */
export function createAgentService(deps: ApiDeps): ServiceImpl<typeof AgentService> {
  return {
    createAgent: (request, context) => createAgent(deps, getCaller(context.values), request),
    getAgent: (request, context) => readAgent(deps, getCaller(context.values), request),
    listAgents: (request, context) => listPage(deps, getCaller(context.values), request),
    updateAgent: (request, context) => changeAgent(deps, getCaller(context.values), request),
    deleteAgent: (request, context) => removeAgent(deps, getCaller(context.values), request),
  };
}

async function readAgent(deps: ApiDeps, caller: Principal, request: GetAgentRequest) {
  const projectId = await targetProjectId(deps, caller, request.project);
  return { agent: toAgentMessage(await getAgent(deps.store.db, projectId, request.agent)) };
}

async function listPage(deps: ApiDeps, caller: Principal, request: ListAgentsRequest) {
  const projectId = await targetProjectId(deps, caller, request.project);
  const { items, nextPageToken } = await readPage(deps.paging, {
    scope: { method: 'ListAgents', caller, filter: [projectId] },
    request,
    read: (rows) => listAgents(deps.store.db, { projectId, ...rows }),
  });
  return { agents: items.map(toAgentMessage), nextPageToken };
}
