import type { ApiKeyRecord } from '../../src/db/api-keys.ts';
import type { DecisionRow, OutcomeRow } from '../../src/db/log-store.ts';
import { insertProject } from '../../src/db/projects.ts';
import type { Store } from '../../src/db/store.ts';
import { insertUser, type UserRecord } from '../../src/db/users.ts';
import type { Agent } from '../../src/domain/agent.ts';
import type { Gateway } from '../../src/domain/gateway.ts';
import type { ApiKeyId, GatewayId, PolicyId, PrincipalId, ProjectId, UpstreamId } from '../../src/domain/ids.ts';
import { defaultApprovalSettings, type Policy } from '../../src/domain/policy.ts';
import type { Project } from '../../src/domain/project.ts';
import type { Upstream } from '../../src/domain/upstream.ts';

/** A moment that does not fit into 32 bits, in Unix milliseconds. */
export const NOW = 1_790_000_000_000;

export const PROJECT = 'project-1' as ProjectId;
export const USER = 'user-1' as PrincipalId;
export const KEY = 'key-1' as ApiKeyId;
export const AGENT = 'agent-1' as PrincipalId;
export const POLICY = 'policy-1' as PolicyId;
export const UPSTREAM = 'upstream-1' as UpstreamId;
export const GATEWAY = 'gateway-1' as GatewayId;

export function project(change: Partial<Project> = {}): Project {
  return {
    id: PROJECT,
    slug: 'default',
    displayName: 'Default',
    recordedArguments: 'redacted',
    redactedKeys: ['iban'],
    approvalWebhook: { url: 'https://hooks.example.com/approvals', sealedSecret: 'sealed' },
    defaultEffect: 'allow',
    revision: 1,
    createTime: NOW,
    updateTime: NOW,
    ...change,
  };
}

export function user(change: Partial<UserRecord> = {}): UserRecord {
  return {
    id: USER,
    projectId: PROJECT,
    username: 'ada',
    email: 'ada@example.com',
    passwordHash: 'scrypt$32768$8$1$c2FsdA$aGFzaA',
    scopes: ['gateway:read', 'tools:call'],
    teams: ['research'],
    disabled: false,
    tokensValidAfter: 0,
    revision: 1,
    createTime: NOW,
    updateTime: NOW,
    ...change,
  };
}

export function apiKey(change: Partial<ApiKeyRecord> = {}): ApiKeyRecord {
  return {
    id: KEY,
    projectId: PROJECT,
    ownerKind: 'user',
    ownerId: USER,
    displayName: 'laptop',
    scopes: ['tools:call'],
    grants: 'all',
    revision: 1,
    createTime: NOW,
    updateTime: NOW,
    secrets: [{ secretHash: 'hash-1', keyPrefix: 'pc_aaaaaaaa', createTime: NOW }],
    ...change,
  };
}

export function agent(change: Partial<Agent> = {}): Agent {
  return {
    id: AGENT,
    projectId: PROJECT,
    slug: 'crawler',
    displayName: 'Crawler',
    description: 'Reads the web.',
    state: 'active',
    ownerId: USER,
    teams: ['research'],
    revision: 1,
    createTime: NOW,
    updateTime: NOW,
    ...change,
  };
}

export function policy(change: Partial<Policy> = {}): Policy {
  return {
    id: POLICY,
    projectId: PROJECT,
    slug: 'no-deletes',
    content: {
      displayName: 'No deletes',
      priority: 500,
      mode: 'enforce',
      subjects: { agentIds: [], userIds: [], apiKeyIds: [], teams: ['research'] },
      targets: [{ upstreamPattern: '*', toolPattern: 'delete_*' }],
      rules: [{ id: 'rule-1', message: 'No.', says: { kind: 'effect', effect: 'deny' } }],
      approval: defaultApprovalSettings,
    },
    version: 1,
    latestVersion: 1,
    revision: 1,
    createTime: NOW,
    updateTime: NOW,
    ...change,
  };
}

export function upstream(change: Partial<Upstream> = {}): Upstream {
  return {
    id: UPSTREAM,
    projectId: PROJECT,
    slug: 'files',
    version: 'v1',
    displayName: 'Files',
    description: 'Reads files.',
    transport: { kind: 'streamable_http', url: 'https://mcp.example.com/mcp' },
    auth: { kind: 'bearer' },
    sealedSecrets: 'sealed',
    headerNames: ['x-team'],
    envNames: [],
    toolFilter: { allowedTools: ['read_*'], deniedTools: [] },
    era: 'legacy',
    decisionCommit: 'before_forward',
    timeoutMs: 60_000,
    enabled: true,
    revision: 1,
    createTime: NOW,
    updateTime: NOW,
    ...change,
  };
}

export function gateway(change: Partial<Gateway> = {}): Gateway {
  return {
    id: GATEWAY,
    projectId: PROJECT,
    slug: 'tools-of-all',
    version: 'v1',
    displayName: 'All tools',
    description: '',
    commonOverrides: {},
    upstreams: [{ slug: 'files', version: 'v1', tools: {} }],
    discoveryMode: 'list',
    revision: 1,
    createTime: NOW,
    updateTime: NOW,
    ...change,
  };
}

export function decision(id: string, change: Partial<DecisionRow> = {}): DecisionRow {
  return {
    id,
    project_id: PROJECT,
    create_time: NOW,
    effect: 'allow',
    principal_id: USER,
    upstream_id: UPSTREAM,
    tool: 'read_file',
    body: '{"message":"Allowed \\u0000 \\"quoted\\" 🏰"}',
    ...change,
  };
}

export function outcome(decisionId: string, change: Partial<OutcomeRow> = {}): OutcomeRow {
  return {
    decision_id: decisionId,
    end_time: NOW + 12,
    status: 'ok',
    latency_micros: 11_500,
    response_bytes: 3_000_000_000,
    ...change,
  };
}

/** The project and the user that the other samples refer to. */
export async function insertOwner(db: Store['db']): Promise<void> {
  await insertProject(db, project());
  await insertUser(db, user());
}
