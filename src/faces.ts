import type { Logger } from 'pino';
import { type ApiRoutes, type ApiRoutesDeps, createApiRoutes } from './api/routes.ts';
import type { Authenticator } from './authn/authenticate.ts';
import type { Keyring } from './authn/keyring.ts';
import type { Passwords } from './authn/password.ts';
import type { Catalogue } from './catalogue/catalogue.ts';
import type { Config } from './config/config.ts';
import type { SecretBox } from './config/secret-box.ts';
import { withChange } from './db/config-changes.ts';
import { endSession } from './db/ended-sessions.ts';
import type { Store } from './db/store.ts';
import type { DecisionWatch } from './decisions/decision-watch.ts';
import { createApprovalPage } from './http/approval-page.ts';
import { readBody } from './http/body.ts';
import { createConnectFace } from './http/connect-face.ts';
import { createHealth, type HealthReport } from './http/health.ts';
import { createOriginGuard } from './http/origin-guard.ts';
import { createHttpServer } from './http/server.ts';
import { createApprovalGate } from './mcp/approval-gate.ts';
import { createBridge } from './mcp/bridge/bridge.ts';
import { createChannelRelay } from './mcp/channel-relay.ts';
import { createComposedFace } from './mcp/composed/composed-face.ts';
import { handleMcpRequest, type McpEndpointDeps } from './mcp/endpoint.ts';
import { createListFilter } from './mcp/list-filter.ts';
import { createSessions } from './mcp/sessions.ts';
import { createStreamableRelay } from './mcp/streamable-relay.ts';
import { createAuthorize } from './pipeline/authorize.ts';
import type { CallDeps } from './pipeline/call.ts';
import { requireFreshConfig } from './pipeline/decide-call.ts';
import type { Listing } from './pipeline/listing.ts';
import { createSimulation } from './pipeline/simulation.ts';
import { createToolCalls } from './pipeline/tool-calls.ts';
import type { HotConfig } from './snapshot/hot-config.ts';
import type { UpstreamFace } from './upstream/face.ts';

/** Everything the faces work with; made once in main. */
export interface ServerParts {
  readonly config: Config;
  readonly logger: Logger;
  readonly store: Store;
  readonly box: SecretBox;
  readonly passwords: Passwords;
  readonly hotConfig: HotConfig;
  readonly identity: {
    readonly keyring: Keyring;
    readonly logins: ApiRoutesDeps['logins'];
    readonly authenticator: Authenticator;
  };
  readonly version: string;
  /** Where people reach the gateway; known once it listens. */
  readonly publicUrl: () => string;
  readonly call: CallDeps;
  readonly upstreams: UpstreamFace;
  readonly catalogue: Catalogue;
  readonly listing: Listing;
  readonly watch: DecisionWatch;
  readonly report: () => Promise<HealthReport>;
  readonly stopping: AbortSignal;
}

/** Makes the edge with both faces behind it; `close` is for when nothing is in progress any more. */
export function createServer(parts: ServerParts) {
  const { config, logger, identity, report } = parts;
  const { mcp, close } = createMcp(parts);
  const authenticate: Parameters<typeof createConnectFace>[0]['authenticate'] = ({ headers }) =>
    identity.authenticator.authenticate(headers);
  const server = createHttpServer({
    guard: createOriginGuard(config),
    health: createHealth({ version: parts.version, startTime: parts.call.usage.startTime, report }),
    authenticate,
    mcp: (arrival) => handleMcpRequest(mcp, arrival),
    api: createConnectFace({ ...createApi(parts), authenticate, ...config }),
    approvalPage: createApprovalPage(),
    jwks: () => JSON.stringify(identity.keyring.jwks()),
    logger,
  });
  return { ...server, close };
}

function createApi({
  config,
  logger,
  store,
  box,
  passwords,
  hotConfig,
  identity,
  call,
  ...parts
}: ServerParts): ApiRoutes {
  const { upstreams, catalogue, listing, watch, report, stopping } = parts;
  const { compositions } = catalogue;
  const calls = createToolCalls({ call, client: upstreams.ownClient, compositions, listing });
  return createApiRoutes(
    {
      log: logger,
      store,
      box,
      passwords,
      logins: identity.logins,
      config: hotConfig,
      requireFreshConfig: () => requireFreshConfig(call),
      stdioCommands: config.stdioCommands,
      probe: upstreams.probe,
      calls: { ...calls, authorize: createAuthorize(call) },
      approvals: call.approvals,
      simulate: createSimulation({ log: store.log, config: hotConfig }),
      version: parts.version,
      usage: call.usage,
      watch: watch.watch,
      health: upstreams.health,
      readiness: async () => (await report()).isReady,
    },
    { maxRequestBytes: config.maxRequestBytes, shutdownSignal: stopping },
  );
}

/** Makes what serves MCP clients; requests that pass through and those that are composed meet the same approvals and sessions. */
function createMcp(parts: ServerParts): { readonly mcp: McpEndpointDeps; readonly close: () => void } {
  const { config, hotConfig, call, box, store, upstreams, catalogue, listing, watch, stopping, publicUrl } = parts;
  const { client, channels, eras, noteEnd: onEnd } = upstreams;
  const sessions = createSessions({ ...sealFor(box, 'session'), isEnded: hotConfig.isSessionEnded });
  const approvalGate = createApprovalGate({
    approvals: call.approvals,
    approvalUrl: (id) => `${publicUrl()}/approvals/${id}`,
    ...sealFor(box, 'approval'),
    config: hotConfig,
    stopping,
  });
  const { replicaId, send, broadcast } = store.mail;
  const relays = { replicaId, relay: send, relayToAll: broadcast };
  const bridge = createBridge({ ...sealFor(box, 'bridge'), channels, eras, stopping, onEnd, ...relays });
  const stopMail = store.mail.onMessage(bridge.takeRelayed);
  const streamable = createStreamableRelay({ client, sessions, onEnd });
  const shared = { call, approvalGate, streamable, sessions, eras };
  const composed = createComposedFace({ ...shared, ...catalogue, listing, bridge, channels });
  const mcp: McpEndpointDeps = {
    ...shared,
    endSession: ({ id, expireTime }) =>
      withChange(store, 'ended_session', id, (trx) => endSession(trx, { sessionId: id, expireTime })),
    composed,
    lists: createListFilter({ config: hotConfig, listing }),
    channels: createChannelRelay({ channels, sessions, onEnd }),
    watch,
    stopping,
    readBody: (request) => readBody(request, { maxBytes: config.maxRequestBytes, timeoutMs: config.requestTimeoutMs }),
  };
  const close = () => {
    stopMail();
    composed.close();
  };
  return { mcp, close };
}

/** The secret box for one purpose. */
function sealFor(box: SecretBox, purpose: string) {
  return {
    seal: (text: string) => box.seal(purpose, text),
    open: (sealed: string) => box.open(purpose, sealed),
  };
}
