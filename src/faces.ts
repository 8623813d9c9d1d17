import type { Logger } from 'pino';
import { type ApiRoutes, type ApiRoutesDeps, createApiRoutes } from './api/routes.ts';
import type { Authenticator } from './authn/authenticate.ts';
import type { Keyring } from './authn/keyring.ts';
import type { Passwords } from './authn/password.ts';
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
import { createChannelRelay } from './mcp/channel-relay.ts';
import { handleMcpRequest, type McpEndpointDeps } from './mcp/endpoint.ts';
import { createEraGate } from './mcp/era-gate.ts';
import { createSessions } from './mcp/sessions.ts';
import { createStreamableRelay } from './mcp/streamable-relay.ts';
import { createAuthorize } from './pipeline/authorize.ts';
import type { CallDeps } from './pipeline/call.ts';
import { requireFreshConfig } from './pipeline/decide-call.ts';
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
  readonly watch: DecisionWatch;
  readonly report: () => Promise<HealthReport>;
  readonly stopping: AbortSignal;
}

/** Makes the edge with both faces behind it. */
export function createServer(parts: ServerParts) {
  const { config, logger, identity, report } = parts;
  const mcp = createMcpDeps(parts);
  const authenticate: Parameters<typeof createConnectFace>[0]['authenticate'] = ({ headers }) =>
    identity.authenticator.authenticate(headers);
  return createHttpServer({
    guard: createOriginGuard(config),
    health: createHealth({ version: parts.version, startTime: parts.call.usage.startTime, report }),
    authenticate,
    mcp: (arrival) => handleMcpRequest(mcp, arrival),
    api: createConnectFace({ ...createApi(parts), authenticate, ...config }),
    approvalPage: createApprovalPage(),
    jwks: () => JSON.stringify(identity.keyring.jwks()),
    logger,
  });
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
  const { upstreams, watch, report, stopping } = parts;
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
      calls: { ...createToolCalls({ call, client: upstreams.ownClient }), authorize: createAuthorize(call) },
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

function createMcpDeps({
  config,
  hotConfig,
  call,
  box,
  store,
  upstreams,
  watch,
  stopping,
  publicUrl,
}: ServerParts): McpEndpointDeps {
  const sessions = createSessions({
    seal: (text) => box.seal('session', text),
    open: (sealed) => box.open('session', sealed),
    isEnded: hotConfig.isSessionEnded,
  });
  return {
    call,
    sessions,
    endSession: ({ id, expireTime }) =>
      withChange(store, 'ended_session', id, (trx) => endSession(trx, { sessionId: id, expireTime })),
    approvalGate: createApprovalGate({
      approvals: call.approvals,
      approvalUrl: (id) => `${publicUrl()}/approvals/${id}`,
      seal: (text) => box.seal('approval', text),
      open: (sealed) => box.open('approval', sealed),
      config: hotConfig,
      stopping,
    }),
    eraGate: createEraGate(upstreams),
    streamable: createStreamableRelay({ client: upstreams.client, sessions, onEnd: upstreams.noteEnd }),
    channels: createChannelRelay({ channels: upstreams.channels, sessions, onEnd: upstreams.noteEnd }),
    watch,
    stopping,
    readBody: (request) => readBody(request, { maxBytes: config.maxRequestBytes, timeoutMs: config.requestTimeoutMs }),
  };
}
