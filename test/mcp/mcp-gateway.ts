import { createCatalogue } from '../../src/catalogue/catalogue.ts';
import { createSecret } from '../../src/config/secret.ts';
import { createSecretBox, type SecretBox } from '../../src/config/secret-box.ts';
import type { DecisionWatch } from '../../src/decisions/decision-watch.ts';
import type { Decision } from '../../src/domain/decision.ts';
import { GatewayError } from '../../src/domain/errors.ts';
import type { Gateway } from '../../src/domain/gateway.ts';
import type { PolicyId, PrincipalId } from '../../src/domain/ids.ts';
import { type ApprovalSettings, defaultApprovalSettings, type Policy } from '../../src/domain/policy.ts';
import type { Principal } from '../../src/domain/principal.ts';
import type { Upstream } from '../../src/domain/upstream.ts';
import { readBody } from '../../src/http/body.ts';
import { createApprovalGate } from '../../src/mcp/approval-gate.ts';
import { createBridge } from '../../src/mcp/bridge/bridge.ts';
import { createChannelRelay } from '../../src/mcp/channel-relay.ts';
import { createComposedFace } from '../../src/mcp/composed/composed-face.ts';
import { handleMcpRequest } from '../../src/mcp/endpoint.ts';
import { createListFilter } from '../../src/mcp/list-filter.ts';
import { createSessions } from '../../src/mcp/sessions.ts';
import { createStreamableRelay } from '../../src/mcp/streamable-relay.ts';
import type { CallDeps } from '../../src/pipeline/call.ts';
import { createListing } from '../../src/pipeline/listing.ts';
import { createPolicySets } from '../../src/pipeline/policy-sets.ts';
import { createUsage, type Usage } from '../../src/pipeline/usage.ts';
import { createUpstreamFace } from '../../src/upstream/face.ts';
import { serveHttp } from '../upstream/fixtures.ts';
import { silentLog } from '../upstream/stdio.ts';
import { createFakeApprovals, type FakeApprovals } from './fake-approvals.ts';
import { createMemoryConfig, type MemoryConfig, PROJECT } from './memory-config.ts';

export interface McpGatewayOptions {
  /** The one upstream; requests may name it by any slug. */
  readonly upstream?: Upstream;
  /** Several, each by its address. */
  readonly upstreams?: readonly Upstream[];
  readonly gateways?: readonly Gateway[];
  /** How every governed call is approved; absent = calls need none. */
  readonly approval?: Partial<ApprovalSettings>;
  readonly policies?: readonly Policy[];
  /** How long a decision takes to be recorded, in milliseconds. */
  readonly recordMs?: number;
  /** Shared with another gateway, as its other replica. */
  readonly replicaOf?: McpGateway;
}

/** The MCP face on a port of its own, without a store: decisions and approvals are kept in memory. */
export interface McpGateway {
  readonly url: string;
  /** The endpoint of an upstream or gateway. */
  urlOf(address: string): string;
  readonly approvals: FakeApprovals;
  /** What was recorded, oldest first. */
  readonly decisions: readonly Decision[];
  readonly box: SecretBox;
  readonly settings: MemoryConfig;
  readonly usage: Usage;
  /** Puts another version of the one upstream in force. */
  update(changes: Partial<Upstream>): void;
  /** From now on the principal of this key is another, or nobody. */
  setPrincipal(key: string, principal: Principal | undefined): void;
  /** Tells what is open that the process stops. */
  beginStop(): void;
  stop(): Promise<void>;
}

/** The slug of requests that name none. */
const SLUG = 'demo';
let replicas = 0;
/** Replicas that can send each other messages, by the box they share. */
const mail = new WeakMap<SecretBox, Map<string, (body: string) => boolean>>();

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
  const { upstream, replicaOf } = options;
  const approvals = replicaOf?.approvals ?? createFakeApprovals();
  const box = replicaOf?.box ?? createSecretBox(createSecret('0123456789abcdef0123456789abcdef'));
  const decisions: Decision[] = [];
  const principals = new Map(['alice', 'mallory'].map((name) => [name, principalOf(name) as Principal | undefined]));
  const stopping = new AbortController();
  const usage = createUsage();
  const settings =
    replicaOf?.settings ??
    createMemoryConfig({
      upstreams: options.upstreams ?? (upstream === undefined ? [] : [{ ...upstream, slug: SLUG }]),
      gateways: options.gateways ?? [],
      policies: [...(options.approval === undefined ? [] : [policyOf(options.approval)]), ...(options.policies ?? [])],
    });
  const { deps, close } = createFace(options, { approvals, box, decisions, settings, usage, stopping });
  const server = await serveHttp((request, response) => {
    const authenticate = () => {
      const principal = principals.get((request.headers.authorization ?? '').replace('Bearer ', ''));
      if (principal === undefined) throw new GatewayError('invalid_api_key', 'unknown');
      return principal;
    };
    const slug = (request.url ?? '').split('/')[2] ?? SLUG;
    const arrive = async () => {
      const arrival = { request, response, requestId: 'request-1', principal: authenticate(), slug, authenticate };
      await handleMcpRequest(deps, arrival);
    };
    arrive().catch((error: unknown) => {
      if (!response.headersSent) response.writeHead(statusOf(error));
      if (!response.writableEnded) response.end(String(error));
    });
  });
  return {
    url: server.url,
    urlOf: (address) => `${server.url}/${address}`,
    approvals,
    decisions,
    box,
    settings,
    usage,
    update: (changes) => settings.putUpstream({ ...(upstream as Upstream), slug: SLUG, ...changes }),
    setPrincipal: (key, principal) => principals.set(key, principal),
    beginStop: () => stopping.abort(),
    stop: async () => {
      stopping.abort();
      await server.stop();
      await close();
    },
  };
}

interface FaceParts extends Pick<McpGateway, 'approvals' | 'box' | 'settings' | 'usage'> {
  readonly decisions: Decision[];
  readonly stopping: AbortController;
}

/** The parts of the MCP face, put together as the process does it. */
function createFace({ recordMs }: McpGatewayOptions, parts: FaceParts) {
  const { approvals, box, decisions, settings, usage } = parts;
  const { config } = settings;
  const stopping = parts.stopping.signal;
  const upstreams = createUpstreamFace({
    networks: ['loopback'],
    stdioCommands: [process.execPath],
    open: async (sealed) => sealed,
    hotConfig: config,
    logger: silentLog,
    hostEnv: process.env,
  });
  const { client, channels, eras, health, noteEnd: onEnd } = upstreams;
  const catalogue = createCatalogue({ channels, eras, health, config });
  const seal = (purpose: string) => ({
    seal: (text: string) => box.seal(purpose, text),
    open: (sealed: string) => box.open(purpose, sealed),
  });
  const sessions = createSessions({ ...seal('session'), isEnded: config.isSessionEnded });
  const append = async (decision: Decision) => {
    decisions.push(decision);
    if (recordMs !== undefined) await new Promise((resolve) => setTimeout(resolve, recordMs));
  };
  const policies = createPolicySets(config);
  const log = { append, settle: () => {} };
  // Not the whole of what a store gives: decisions are kept in memory.
  const call = { config, maxConfigAgeMs: 1_000, log, policies, approvals, usage } as unknown as CallDeps;
  const approvalUrl = (id: string) => `https://gateway.test/approvals/${id}`;
  const approvalGate = createApprovalGate({ approvals, approvalUrl, ...seal('approval'), config, stopping });
  const replicaId = `replica-${++replicas}`;
  const others = mail.get(box) ?? new Map<string, (body: string) => boolean>();
  mail.set(box, others);
  const relay = async (recipient: string, body: string) => others.get(recipient)?.(body) ?? false;
  const bridge = createBridge({ ...seal('bridge'), channels, eras, stopping, onEnd, replicaId, relay });
  others.set(replicaId, bridge.takeRelayed);
  const streamable = createStreamableRelay({ client, sessions, onEnd });
  const shared = { call, approvalGate, streamable, sessions, eras };
  const listing = createListing({ config, policies });
  const composed = createComposedFace({ ...shared, ...catalogue, listing, bridge, channels });
  const deps = {
    ...shared,
    composed,
    lists: createListFilter({ config, listing }),
    endSession: async ({ id }: { readonly id: string }) => settings.endSession(id),
    channels: createChannelRelay({ channels, sessions, onEnd }),
    watch: {} as DecisionWatch,
    readBody: (request: Parameters<typeof readBody>[0]) => readBody(request, { maxBytes: 2 ** 20, timeoutMs: 5_000 }),
    stopping,
  };
  const close = async () => {
    others.delete(replicaId);
    composed.close();
    catalogue.close();
    await upstreams.close();
  };
  return { deps, close };
}

/** As the edge answers what was thrown. */
function statusOf(error: unknown): number {
  return error instanceof GatewayError && error.reason === 'not_found' ? 404 : 400;
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
