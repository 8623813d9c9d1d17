import { readFileSync } from 'node:fs';
import { type Logger, pino } from 'pino';
import { createApprovals } from './approvals/create-approvals.ts';
import { startExpirySweeper } from './approvals/expiry-sweeper.ts';
import { type SendWebhook, startWebhookSender } from './approvals/webhook-sender.ts';
import { createAccessTokens } from './authn/access-token.ts';
import { createAuthenticator, createOpenAuthenticator } from './authn/authenticate.ts';
import { bootstrap, type FirstStart } from './authn/bootstrap.ts';
import { openKeyring } from './authn/keyring.ts';
import { createLastUseWriter } from './authn/last-use.ts';
import { createLoginService } from './authn/login-service.ts';
import { createPasswords, type Passwords } from './authn/password.ts';
import { createCatalogue } from './catalogue/catalogue.ts';
import type { Config } from './config/config.ts';
import { loadConfig } from './config/load-config.ts';
import { createSecretBox, type SecretBox } from './config/secret-box.ts';
import { openDatabase, type Store } from './db/store.ts';
import { DecisionLog } from './decisions/decision-log.ts';
import { createDecisionWatch } from './decisions/decision-watch.ts';
import { GatewayError } from './domain/errors.ts';
import type { ProjectId } from './domain/ids.ts';
import { createServer, type ServerParts } from './faces.ts';
import type { HealthReport } from './http/health.ts';
import { type ListenerOptions, openListener } from './http/listener.ts';
import type { CallDeps } from './pipeline/call.ts';
import { createListing } from './pipeline/listing.ts';
import { createPolicySets } from './pipeline/policy-sets.ts';
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
  // Written in the background: a line a request would cost a system call each.
  const logger = pino({ level: config.logLevel }, pino.destination({ dest: 1, sync: false }));
  const stopping = new AbortController();
  const store = await openDatabase(config.database, { onBackgroundError: warner(logger, 'The database failed.') });
  const box = createSecretBox(config.secretKey, config.previousSecretKeys);
  const passwords = createPasswords();
  const { projectId, firstStart } = await bootstrap({ store, passwords, config, now: Date.now });
  showOnce(firstStart);
  const hotConfig = await createHotConfig(store, { onError: warner(logger, 'The configuration could not be read.') });
  const identity = await createIdentity({ config, logger, store, box, passwords, hotConfig, projectId });
  const log = new DecisionLog(store.log, { onFailure: errorer(logger, 'Decisions could not be recorded.') });
  const upstreams = createUpstreamFace({
    networks: config.upstreamNetworks,
    stdioCommands: config.stdioCommands,
    open: (sealed) => box.open('upstream', sealed),
    hotConfig,
    logger,
    hostEnv: process.env,
  });
  const onListError = errorer(logger, 'The lists of an upstream could not be kept.');
  const { channels, eras, health } = upstreams;
  const catalogue = createCatalogue({ channels, eras, health, config: hotConfig, onError: onListError });
  const approvals = createApprovals({ store, onChange: hotConfig.onApprovalChange, now: Date.now });
  const approvalWork = startApprovalWork({ store, box, hotConfig, send: upstreams.sendWebhook, logger });
  const policies = createPolicySets(hotConfig);
  const { maxConfigAgeMs } = config;
  const call: CallDeps = { config: hotConfig, maxConfigAgeMs, log, policies, approvals, usage: createUsage() };
  const watch = createDecisionWatch({ log: store.log, onDecision: store.onDecision });
  const report = () => readHealth(store, hotConfig, upstreams, projectId);
  const address = { url: config.publicUrl ?? '' };
  const listing = createListing(call);
  const parts = { config, logger, store, box, passwords, hotConfig, identity, call, upstreams, catalogue, listing };
  const once = { version: VERSION, stopping: stopping.signal, publicUrl: () => address.url };
  const server = createServer({ ...parts, ...once, watch, report });
  const listener = await openListener(listenerOptions(config), server.handle);
  address.url ||= urlOf(config, listener.port);
  logger.info({ port: listener.port }, `Portcullis ${VERSION} listens on ${urlOf(config, listener.port)}`);

  await stopSignal();
  logger.info('Stopping: no new connections, calls in progress are finished.');
  listener.stopAccepting();
  stopping.abort();
  approvals.close();
  await server.drain(config.drainTimeoutMs);
  await listener.close();
  await approvalWork.close();
  server.close();
  catalogue.close();
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

/** What is done about approvals without anybody asking: those that expire, and those that other systems are told of. */
function startApprovalWork({
  store,
  box,
  hotConfig: { onApprovalChange },
  send,
  logger,
}: Pick<ServerParts, 'store' | 'box' | 'hotConfig' | 'logger'> & { readonly send: SendWebhook }) {
  const sweeper = startExpirySweeper({
    store,
    now: Date.now,
    onError: warner(logger, 'Expired approvals could not be written.'),
  });
  const sender = startWebhookSender({
    db: store.db,
    send,
    open: (sealed) => box.open('webhook', sealed),
    now: Date.now,
    onError: (error, delivery) =>
      logger.warn(
        { err: error, delivery_id: delivery?.id, approval_id: delivery?.approvalId },
        'An approval webhook could not be told.',
      ),
  });
  const stopListening = onApprovalChange(() => sender.wake());
  return {
    async close() {
      stopListening();
      await Promise.all([sweeper.close(), sender.close()]);
    },
  };
}

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

function urlOf(config: Config, port: number): string {
  const scheme = config.tls === undefined ? 'http' : 'https';
  const host = config.host.includes(':') ? `[${config.host}]` : config.host;
  return `${scheme}://${host}:${port}`;
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
