import { readFileSync } from 'node:fs';
import { type Logger, pino } from 'pino';
import { type ApiRoutes, createApiRoutes } from './api/routes.ts';
import { createAccessTokens } from './authn/access-token.ts';
import { createAuthenticator, createOpenAuthenticator } from './authn/authenticate.ts';
import { bootstrap, type FirstStart } from './authn/bootstrap.ts';
import { openKeyring } from './authn/keyring.ts';
import { createLastUseWriter } from './authn/last-use.ts';
import { createLoginService } from './authn/login-service.ts';
import { createPasswords, type Passwords } from './authn/password.ts';
import type { Config } from './config/config.ts';
import { loadConfig } from './config/load-config.ts';
import { createSecretBox, type SecretBox } from './config/secret-box.ts';
import { withChange } from './db/config-changes.ts';
import { endSession } from './db/ended-sessions.ts';
import { openDatabase, type Store } from './db/store.ts';
import { DecisionLog } from './decisions/decision-log.ts';
import { createDecisionWatch, type DecisionWatch } from './decisions/decision-watch.ts';
import { GatewayError } from './domain/errors.ts';
import type { ProjectId } from './domain/ids.ts';
import { readBody } from './http/body.ts';
import { createConnectFace } from './http/connect-face.ts';
import { createHealth, type HealthReport } from './http/health.ts';
import { type ListenerOptions, openListener } from './http/listener.ts';
import { createOriginGuard } from './http/origin-guard.ts';
import { createHttpServer } from './http/server.ts';
import { createChannelRelay } from './mcp/channel-relay.ts';
import { handleMcpRequest, type McpEndpointDeps } from './mcp/endpoint.ts';
import { createEraGate } from './mcp/era-gate.ts';
import { createSessions } from './mcp/sessions.ts';
import { createStreamableRelay } from './mcp/streamable-relay.ts';
import type { CallDeps } from './pipeline/call.ts';
import { createToolCalls } from './pipeline/tool-calls.ts';
import { createUsage } from './pipeline/usage.ts';
import { createHotConfig, type HotConfig } from './snapshot/hot-config.ts';
import { createUpstreamFace, type UpstreamFace } from './upstream/face.ts';

const { version: VERSION }: { readonly version: string } = JSON.parse(
  readFileSync(new URL('../package.json', import.meta.url), 'utf8'),
);

if (process.argv.includes('--version')) {
  process.stdout.write(`${VERSION}\n`);
} else {
  try {
    await start(loadConfig(process.env));
  } catch (error) {
    process.stderr.write(`${error instanceof GatewayError ? error.message : String(error)}\n`);
    process.exit(1);
  }
}

/** Makes every part once, opens the port, and closes all of it again in the opposite order when the process is told to stop. */
async function start(config: Config): Promise<void> {
  const logger = pino({ level: config.logLevel });
  const stopping = new AbortController();
  const store = await openDatabase(config.database, { onBackgroundError: warner(logger, 'The database failed.') });
  const box = createSecretBox(config.secretKey, config.previousSecretKeys);
  const passwords = createPasswords();
  const { projectId, firstStart } = await bootstrap({ store, passwords, config, now: Date.now });
  showOnce(firstStart);
  const hotConfig = await createHotConfig(store, { onError: warner(logger, 'The configuration could not be read.') });
  const identity = await createIdentity({ config, logger, store, box, passwords, hotConfig, projectId });
  const log = new DecisionLog(store.log, { onFailure: errorer(logger, 'Decisions could not be recorded.') });
  const call: CallDeps = { config: hotConfig, log, usage: createUsage() };
  const upstreams = createUpstreamFace({
    networks: config.upstreamNetworks,
    stdioCommands: config.stdioCommands,
    open: (sealed) => box.open('upstream', sealed),
    hotConfig,
    logger,
    hostEnv: process.env,
  });
  const watch = createDecisionWatch({ log: store.log, onDecision: store.onDecision });
  const report = () => readHealth(store, hotConfig, upstreams, projectId);
  const parts = { config, logger, store, box, passwords, hotConfig, identity, call, upstreams, watch, report };
  const server = createServer({ ...parts, stopping: stopping.signal });
  const listener = await openListener(listenerOptions(config), server.handle);
  announce(config, listener.port, logger);

  await stopSignal();
  logger.info('Stopping: no new connections, calls in progress are finished.');
  listener.stopAccepting();
  stopping.abort();
  await server.drain(config.drainTimeoutMs);
  await listener.close();
  await upstreams.close();
  await log.close();
  await identity.lastUse.close();
  hotConfig.close();
  await store.close();
}

interface IdentityDeps {
  readonly config: Config;
  readonly logger: Logger;
  readonly store: Store;
  readonly box: SecretBox;
  readonly passwords: Passwords;
  readonly hotConfig: HotConfig;
  readonly projectId: ProjectId;
}

type Identity = Awaited<ReturnType<typeof createIdentity>>;

/** Makes what tells who calls, and lets users in. */
async function createIdentity({ config, logger, store, box, passwords, hotConfig, projectId }: IdentityDeps) {
  const keyring = await openKeyring({ store, secretBox: box, now: Date.now });
  const tokens = createAccessTokens({ keyring, lifetimeMinutes: config.accessTokenMinutes, now: Date.now });
  const logins = createLoginService({ store, passwords, tokens, now: Date.now });
  const onError = warner(logger, 'The last use of keys could not be written.');
  const lastUse = createLastUseWriter(store, { now: Date.now, onError });
  const authenticator = config.authEnabled
    ? createAuthenticator({ config: hotConfig, tokens, onKeyUse: lastUse.note, now: Date.now })
    : createOpenAuthenticator(projectId);
  return { keyring, logins, lastUse, authenticator };
}

interface ServerParts {
  readonly config: Config;
  readonly logger: Logger;
  readonly store: Store;
  readonly box: SecretBox;
  readonly passwords: Passwords;
  readonly hotConfig: HotConfig;
  readonly identity: Identity;
  readonly call: CallDeps;
  readonly upstreams: UpstreamFace;
  readonly watch: DecisionWatch;
  readonly report: () => Promise<HealthReport>;
  readonly stopping: AbortSignal;
}

function createServer(parts: ServerParts) {
  const { config, logger, identity, hotConfig, report } = parts;
  const mcp = createMcpDeps(parts);
  const authenticate: Parameters<typeof createConnectFace>[0]['authenticate'] = ({ headers }) =>
    identity.authenticator.authenticate(headers);
  return createHttpServer({
    guard: createOriginGuard(config),
    health: createHealth({ version: VERSION, startTime: parts.call.usage.startTime, report }),
    authenticate,
    mcp: (arrival) => handleMcpRequest(mcp, arrival),
    api: createConnectFace({ ...createApi(parts), authenticate, requestTimeoutMs: config.requestTimeoutMs }),
    jwks: () => JSON.stringify(identity.keyring.jwks()),
    isConfigFresh: () => hotConfig.ageMs() < config.maxConfigAgeMs,
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
      stdioCommands: config.stdioCommands,
      probe: upstreams.probe,
      calls: createToolCalls({ call, client: upstreams.ownClient }),
      version: VERSION,
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
    eraGate: createEraGate(upstreams),
    streamable: createStreamableRelay({ client: upstreams.client, sessions, onEnd: upstreams.noteEnd }),
    channels: createChannelRelay({ channels: upstreams.channels, sessions, onEnd: upstreams.noteEnd }),
    watch,
    stopping,
    readBody: (request) => readBody(request, { maxBytes: config.maxRequestBytes, timeoutMs: config.requestTimeoutMs }),
  };
}

async function readHealth(
  store: Store,
  hotConfig: HotConfig,
  upstreams: UpstreamFace,
  projectId: ProjectId,
): Promise<HealthReport> {
  const isStoreReachable = await store.ping().then(
    () => true,
    () => false,
  );
  const enabled = [...hotConfig.upstreams(projectId)].filter((upstream) => upstream.enabled);
  const healthy = enabled.filter((upstream) => upstreams.health.isHealthy(upstream.id)).length;
  return { isReady: isStoreReachable, isStoreReachable, upstreams: { total: enabled.length, healthy } };
}

function listenerOptions({ host, port, requestTimeoutMs, tls }: Config): ListenerOptions {
  const options = { host, port, requestTimeoutMs };
  return tls === undefined
    ? options
    : { ...options, tls: { cert: readFileSync(tls.certFile, 'utf8'), key: readFileSync(tls.keyFile, 'utf8') } };
}

/** Shows what the first start made, the only time these secrets are printed; before anything else can fail, so that they are not lost. */
function showOnce(firstStart: FirstStart | undefined): void {
  if (firstStart !== undefined) {
    const { username, password, apiKey } = firstStart;
    const lines = [
      'First start. These are shown once; keep them now.',
      ...(password === undefined ? [] : [`  user      ${username}`, `  password  ${password}`]),
      ...(apiKey === undefined ? [] : [`  API key   ${apiKey}`]),
    ];
    process.stdout.write(`${lines.join('\n')}\n`);
  }
}

function announce(config: Config, port: number, logger: Logger): void {
  const scheme = config.tls === undefined ? 'http' : 'https';
  const host = config.host.includes(':') ? `[${config.host}]` : config.host;
  logger.info({ port }, `Portcullis ${VERSION} listens on ${scheme}://${host}:${port}`);
}

/** Resolves at the first SIGINT or SIGTERM; a second one ends the process at once. */
function stopSignal(): Promise<void> {
  return new Promise((resolve) => {
    const stop = () => {
      process.once('SIGINT', () => process.exit(130));
      process.once('SIGTERM', () => process.exit(143));
      resolve();
    };
    process.once('SIGINT', stop);
    process.once('SIGTERM', stop);
  });
}

function warner(logger: Logger, message: string) {
  return (error: unknown) => logger.warn({ err: error }, message);
}

function errorer(logger: Logger, message: string) {
  return (error: unknown) => logger.error({ err: error }, message);
}
