import { createSecret } from '../../src/config/secret.ts';
import { createSecretBox, type SecretBox } from '../../src/config/secret-box.ts';
import type { DecisionWatch } from '../../src/decisions/decision-watch.ts';
import type { Decision } from '../../src/domain/decision.ts';
import { GatewayError } from '../../src/domain/errors.ts';
import type { PolicyId, PrincipalId, ProjectId } from '../../src/domain/ids.ts';
import { type ApprovalSettings, defaultApprovalSettings, type Policy } from '../../src/domain/policy.ts';
import type { Principal } from '../../src/domain/principal.ts';
import type { Project } from '../../src/domain/project.ts';
import type { Upstream } from '../../src/domain/upstream.ts';
import { readBody } from '../../src/http/body.ts';
import { createApprovalGate } from '../../src/mcp/approval-gate.ts';
import { createChannelRelay } from '../../src/mcp/channel-relay.ts';
import { handleMcpRequest } from '../../src/mcp/endpoint.ts';
import { createEraGate } from '../../src/mcp/era-gate.ts';
import { createSessions } from '../../src/mcp/sessions.ts';
import { createStreamableRelay } from '../../src/mcp/streamable-relay.ts';
import type { CallDeps } from '../../src/pipeline/call.ts';
import { createPolicySets } from '../../src/pipeline/policy-sets.ts';
import { createUsage } from '../../src/pipeline/usage.ts';
import type { HotConfig } from '../../src/snapshot/hot-config.ts';
import { createUpstreamFace } from '../../src/upstream/face.ts';
import { serveHttp } from '../upstream/fixtures.ts';
import { silentLog } from '../upstream/stdio.ts';
import { createFakeApprovals, type FakeApprovals } from './fake-approvals.ts';

export interface McpGatewayOptions {
  /** The one upstream; requests may name it by any slug. */
  readonly upstream: Upstream;
  /** How every governed call is approved. */
  readonly approval: Partial<ApprovalSettings>;
  /** How long a decision takes to be recorded, in milliseconds. */
  readonly recordMs?: number;
  /** Shared with another gateway, as its other replica. */
  readonly replicaOf?: McpGateway;
}

/** The MCP face on a port of its own, without a store: decisions and approvals are kept in memory. */
export interface McpGateway {
  readonly url: string;
  readonly approvals: FakeApprovals;
  /** What was recorded, oldest first. */
  readonly decisions: readonly Decision[];
  readonly box: SecretBox;
  /** Puts another version of the upstream in force. */
  update(changes: Partial<Upstream>): void;
  /** From now on the principal of this key is another, or nobody. */
  setPrincipal(key: string, principal: Principal | undefined): void;
  /** Tells what is open that the process stops. */
  beginStop(): void;
  stop(): Promise<void>;
}

const PROJECT: Project = {
  id: 'project-1' as ProjectId,
  slug: 'default',
  displayName: '',
  recordedArguments: 'redacted',
  redactedKeys: [],
  defaultEffect: 'allow',
  revision: 1,
  createTime: 0,
  updateTime: 0,
};

/** A principal whose key is its name. */
export function principalOf(name: string, changes: Partial<Principal> = {}): Principal {
  return {
    kind: 'agent',
    id: name as PrincipalId,
    projectId: PROJECT.id,
    name,
    scopes: new Set(['tools:call']),
    grants: 'all',
    teams: [],
    agentState: 'active',
    ...changes,
  };
}

export async function startMcpGateway(options: McpGatewayOptions): Promise<McpGateway> {
  const { upstream, approval, replicaOf, recordMs } = options;
  const approvals = replicaOf?.approvals ?? createFakeApprovals();
  const box = replicaOf?.box ?? createSecretBox(createSecret('0123456789abcdef0123456789abcdef'));
  const decisions: Decision[] = [];
  const policies = [policyOf(approval)];
  const principals = new Map(['alice', 'mallory'].map((name) => [name, principalOf(name) as Principal | undefined]));
  const stopping = new AbortController();
  let current = upstream;
  const config = {
    getProject: () => PROJECT,
    getPolicies: () => policies,
    findUpstream: () => current,
    onUpstreamChange: () => () => {},
    ageMs: () => 0,
  } as unknown as HotConfig;
  const face = createUpstreamFace({
    networks: ['loopback'],
    stdioCommands: [process.execPath],
    open: async (sealed) => sealed,
    hotConfig: config,
    logger: silentLog,
    hostEnv: process.env,
  });
  const sessions = createSessions({
    seal: (text) => box.seal('session', text),
    open: (sealed) => box.open('session', sealed),
    isEnded: () => false,
  });
  const append = async (decision: Decision) => {
    decisions.push(decision);
    if (recordMs !== undefined) await new Promise((resolve) => setTimeout(resolve, recordMs));
  };
  const log = { append, settle: () => {} };
  const call = {
    config,
    maxConfigAgeMs: 1_000,
    log,
    policies: createPolicySets(config),
    approvals,
    usage: createUsage(),
  };
  const deps = {
    call: call as unknown as CallDeps,
    sessions,
    endSession: async () => {},
    eraGate: createEraGate(face),
    streamable: createStreamableRelay({ client: face.client, sessions, onEnd: face.noteEnd }),
    channels: createChannelRelay({ channels: face.channels, sessions, onEnd: face.noteEnd }),
    approvalGate: createApprovalGate({
      approvals,
      approvalUrl: (id) => `https://gateway.test/approvals/${id}`,
      seal: (text) => box.seal('approval', text),
      open: (sealed) => box.open('approval', sealed),
      config,
      stopping: stopping.signal,
    }),
    watch: {} as DecisionWatch,
    readBody: (request: Parameters<typeof readBody>[0]) => readBody(request, { maxBytes: 2 ** 20, timeoutMs: 5_000 }),
    stopping: stopping.signal,
  };
  const server = await serveHttp((request, response) => {
    const authenticate = () => {
      const principal = principals.get((request.headers.authorization ?? '').replace('Bearer ', ''));
      if (principal === undefined) throw new GatewayError('invalid_api_key', 'unknown');
      return principal;
    };
    const arrival = {
      request,
      response,
      requestId: 'request-1',
      principal: authenticate(),
      slug: 'demo',
      authenticate,
    };
    handleMcpRequest(deps, arrival).catch((error: unknown) => {
      if (!response.headersSent) response.writeHead(400);
      if (!response.writableEnded) response.end(String(error));
    });
  });
  return {
    url: server.url,
    approvals,
    decisions,
    box,
    update: (changes) => {
      current = { ...current, ...changes, revision: current.revision + 1 };
    },
    setPrincipal: (key, principal) => principals.set(key, principal),
    beginStop: () => stopping.abort(),
    stop: async () => {
      stopping.abort();
      await server.stop();
      await face.close();
    },
  };
}

function policyOf(approval: Partial<ApprovalSettings>): Policy {
  return {
    id: 'policy-1' as PolicyId,
    projectId: PROJECT.id,
    slug: 'ask-first',
    content: {
      displayName: '',
      priority: 0,
      mode: 'enforce',
      subjects: { agentIds: [], userIds: [], apiKeyIds: [], teams: [] },
      targets: [{ upstreamPattern: '*', toolPattern: '*' }],
      rules: [{ id: 'ask', message: 'Ask a human first.', says: { kind: 'effect', effect: 'require_approval' } }],
      approval: { ...defaultApprovalSettings, ...approval },
    },
    version: 1,
    latestVersion: 1,
    revision: 1,
    createTime: 0,
    updateTime: 0,
  };
}
