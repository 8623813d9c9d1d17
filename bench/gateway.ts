import { existsSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { request } from 'undici';
import { createApiKey } from '../src/authn/api-key.ts';
import { type Child, startChild } from './child-process.ts';
import type { Era } from './requests.ts';

/** When a decision must be durable; see `DecisionCommit` of the API. */
export type Commit = 'before_forward' | 'before_answer';

/** How a gateway is started for a measurement. */
export interface GatewayOptions {
  readonly cores: string;
  /** GATEWAY_… variables besides port and key. */
  readonly env: Readonly<Record<string, string>>;
  readonly apiKey?: string;
  /** Loads memory-probe.ts into it. */
  readonly withProbe?: boolean;
}

/** A gateway that is ready. */
export interface RunningGateway {
  readonly child: Child;
  readonly port: number;
  readonly apiKey: string;
  /** `performance.now()` when the process was started. */
  readonly startedAt: number;
  /** From the start of the process to the first 200 of /readyz, in milliseconds. */
  readonly readyMillis: number;
}

const root = join(import.meta.dirname, '..');
/** `BENCH_GATEWAY` names the main.ts of another checkout, to measure it with this harness. */
const mainFile = process.env['BENCH_GATEWAY'] ?? join(root, 'src', 'main.ts');
const probe = new URL('memory-probe.ts', import.meta.url).href;

/** False while the gateway itself is not written. */
export function isGatewayThere(): boolean {
  return existsSync(mainFile);
}

/** Settings of a gateway with an embedded database in the folder, that reaches upstreams of this machine and has none of its own. */
export function embeddedEnvironment(dataDir: string): Record<string, string> {
  return { GATEWAY_DATA_DIR: dataDir, GATEWAY_UPSTREAM_NETWORKS: 'loopback', GATEWAY_DEMO_UPSTREAM: 'false' };
}

/** Starts a gateway and waits until it is ready; throws, with its output, when it ends or takes longer than 30 s. */
export async function startGateway(options: GatewayOptions): Promise<RunningGateway> {
  const port = await findFreePort();
  const apiKey = options.apiKey ?? createApiKey();
  const env = { ...settingsOnlyFrom(options.env), GATEWAY_PORT: String(port), GATEWAY_BOOTSTRAP_API_KEY: apiKey };
  const flags = options.withProbe ? ['--expose-gc', '--import', probe] : [];
  const startedAt = performance.now();
  const child = startChild({
    command: [process.execPath, '--max-semi-space-size=8', ...flags, mainFile],
    cores: options.cores,
    env,
    ipc: options.withProbe ?? false,
  });
  const readyMillis = await waitUntilReady(child, port, startedAt);
  return { child, port, apiKey, startedAt, readyMillis };
}

/** The environment of `npm start`, without the GATEWAY_ variables of whoever runs the benchmark. */
function settingsOnlyFrom(env: Readonly<Record<string, string>>): Record<string, string> {
  const cleared = Object.keys(process.env).filter((name) => name.startsWith('GATEWAY_'));
  for (const name of cleared) delete process.env[name];
  const cache = join(root, 'node_modules', '.cache', 'portcullis');
  return {
    ...env,
    NODE_COMPILE_CACHE: cache,
    PATH: `${join(root, 'node_modules', '.bin')}:${process.env['PATH'] ?? ''}`,
  };
}

async function waitUntilReady(child: Child, port: number, startedAt: number): Promise<number> {
  while (performance.now() - startedAt < 30_000) {
    if (child.process.exitCode !== null || child.process.signalCode !== null) break;
    const status = await statusOf(`http://127.0.0.1:${port}/readyz`);
    if (status === 200) return performance.now() - startedAt;
    await sleep(3);
  }
  await child.stop();
  throw new Error(`the gateway did not become ready:\n${child.output()}`);
}

/** The status of a GET, 0 while nobody listens. */
async function statusOf(url: string): Promise<number> {
  try {
    const { statusCode, body } = await request(url);
    await body.dump();
    return statusCode;
  } catch {
    return 0;
  }
}

/** A port that was free a moment ago. */
export async function findFreePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Calls a method of the API over Connect with JSON; throws what it answered when that is no success. */
export async function callApi(gateway: RunningGateway, method: string, message: unknown): Promise<unknown> {
  const answer = await request(`http://127.0.0.1:${gateway.port}/portcullis.v1.${method}`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', Authorization: `Bearer ${gateway.apiKey}` },
    body: JSON.stringify(message),
  });
  const text = await answer.body.text();
  if (answer.statusCode !== 200) throw new Error(`${method}: ${answer.statusCode} ${text}`);
  return JSON.parse(text);
}

/** Creates a streamable HTTP upstream through the API and returns when the gateway has it. */
export async function createUpstream(
  gateway: RunningGateway,
  upstream: {
    readonly slug: string;
    readonly url: string;
    readonly era: Era;
    readonly commit: Commit;
    /** Lets all tools through, not only the called one. */
    readonly allTools?: boolean;
  },
): Promise<void> {
  await callApi(gateway, 'UpstreamService/CreateUpstream', {
    slug: upstream.slug,
    transport: { streamableHttp: { url: upstream.url } },
    era: `ERA_${upstream.era.toUpperCase()}`,
    decisionCommit: `DECISION_COMMIT_${upstream.commit.toUpperCase()}`,
    toolFilter: { allowedTools: upstream.allTools === true ? [] : ['echo', 'get-*'] },
  });
}
