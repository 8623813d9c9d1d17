import { GatewayError } from '../domain/errors.ts';
import type { Upstream } from '../domain/upstream.ts';
import { ChannelSlot } from './channel-slot.ts';
import type { UpstreamLog } from './connection.ts';
import { ConnectionLimit } from './connection-limit.ts';
import type { OpenConnection } from './connections.ts';
import { DISCOVER } from './discover.ts';
import type { EraBook } from './era.ts';
import { HttpStatusError } from './failure.ts';
import { MODERN_VERSION } from './gateway-client.ts';
import type { UpstreamHealth } from './health.ts';
import { isObject, type JsonObject, textOf } from './message.ts';
import { GATEWAY_CLIENT } from './routes.ts';
import { resultOf, UpstreamRpcError } from './rpc-error.ts';

/** How a test of an upstream went. */
export interface UpstreamTestResult {
  readonly ok: boolean;
  /** HTTP status of the upstream's answer; 0 when there was none, as with a local process. */
  readonly status: number;
  readonly latencyMs: number;
  /** For the operator: what works, or what to do. */
  readonly message: string;
}

export interface UpstreamTesterDeps {
  readonly openConnection: OpenConnection;
  readonly eras: EraBook;
  readonly health: UpstreamHealth;
  readonly log: UpstreamLog;
}

/** Tests an upstream by opening it as a client would, with a session or process of its own that is ended again; never throws. */
export type TestUpstream = (upstream: Upstream) => Promise<UpstreamTestResult>;

/** What the upstream said of itself. */
interface Introduction {
  readonly status: number;
  readonly server: string;
  readonly version: string;
}

/** Makes the tester; it asks for the era afresh. */
export function createTestUpstream(deps: UpstreamTesterDeps): TestUpstream {
  const { eras, health, log } = deps;
  return async (upstream) => {
    const start = performance.now();
    const took = () => Math.round(performance.now() - start);
    try {
      eras.forget(upstream.id);
      const { modern } = await eras.probe(upstream);
      const { status, server, version } = await introduce(deps, upstream, modern === true);
      health.report(upstream.id, true);
      return {
        ok: true,
        status,
        latencyMs: took(),
        message: `Works: ${server}, revision ${version}.${hintFor(upstream)}`,
      };
    } catch (error) {
      health.report(upstream.id, error instanceof UpstreamRpcError);
      log.warn({ upstream: upstream.slug, err: error }, 'the test of an upstream failed');
      return { ok: false, status: statusIn(error), latencyMs: took(), message: messageOf(upstream, error) };
    }
  };
}

async function introduce(deps: UpstreamTesterDeps, upstream: Upstream, isModern: boolean): Promise<Introduction> {
  const { openConnection, log } = deps;
  const slot = new ChannelSlot({
    openConnection,
    log,
    now: Date.now,
    upstream,
    era: isModern ? 'modern' : 'legacy',
    client: GATEWAY_CLIENT,
    limit: new ConnectionLimit(1),
    evict: () => false,
  });
  try {
    const channel = await slot.open();
    const options = { client: GATEWAY_CLIENT, signal: new AbortController().signal, onMessage: () => undefined };
    const result = channel.initializeResult ?? resultOf(upstream, await channel.request(DISCOVER, options));
    const version = isModern ? MODERN_VERSION : textOf(result['protocolVersion']);
    return { status: upstream.transport.kind === 'stdio' ? 0 : 200, server: serverNameIn(result), version };
  } finally {
    void slot.end();
  }
}

function hintFor(upstream: Upstream): string {
  switch (upstream.transport.kind) {
    case 'streamable_http':
      return '';
    case 'sse':
    case 'stdio': {
      const what = upstream.transport.kind === 'sse' ? 'event stream' : 'process';
      return (
        ` Its sessions live in the ${what} that one replica holds: with several replicas, use a load balancer with sticky sessions,` +
        ' or an upstream with streamable HTTP.'
      );
    }
  }
}

function statusIn(error: unknown): number {
  return error instanceof GatewayError && error.cause instanceof HttpStatusError ? error.cause.status : 0;
}

function messageOf(upstream: Upstream, error: unknown): string {
  if (error instanceof GatewayError) {
    return error.message;
  }
  if (error instanceof UpstreamRpcError) {
    return `The upstream "${upstream.slug}" answered with the error ${error.code}: ${error.message}`;
  }
  return `The upstream "${upstream.slug}" could not be tested; the log of the gateway says why.`;
}

/** Name and version in the result of `initialize` or `server/discover`, for people. */
function serverNameIn(result: JsonObject): string {
  const meta = isObject(result['_meta']) ? result['_meta']['io.modelcontextprotocol/serverInfo'] : undefined;
  const info = isObject(meta) ? meta : result['serverInfo'];
  return isObject(info)
    ? `${textOf(info['name'])} ${textOf(info['version'])}`.trim().slice(0, 200)
    : 'a server without a name';
}
