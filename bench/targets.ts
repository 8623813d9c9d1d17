import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { request } from 'undici';
import { type Child, createTemporaryFolder, readPort, startChild } from './child-process.ts';
import { type Commit, createUpstream, embeddedEnvironment, type RunningGateway, startGateway } from './gateway.ts';
import { createMcpClient } from './mcp-client.ts';
import { type Destination, type Era, writeRequestFile } from './requests.ts';
import { runWrk } from './wrk.ts';

/** Something that answers calls and is measured. */
export interface Target {
  readonly name: string;
  readonly port: number;
  readonly pid: number;
  /** The postmaster, when the target keeps its decisions in PostgreSQL. */
  readonly databasePid?: number;
  /** Set on a gateway. */
  readonly commit?: Commit;
  readonly requestFiles: Readonly<Record<Era, string>>;
  /** What a good answer holds, where it is no JSON-RPC result. */
  readonly answer?: string;
}

/** Everything that is alive during a measurement. */
export interface Testbed {
  /** The upstream behind the proxies, on the generator's core. */
  readonly upstreamPid: number;
  readonly upstreamPort: number;
  /** The same upstream program on core 0, as the target of the closed loop. */
  readonly direct: Target;
  /** The upstream behind the proxies itself, as the target of the open loop. */
  readonly directOnUpstreamCore: Target;
  readonly bare: Target;
  /** Both commit modes of each gateway; empty while there is no gateway. */
  readonly gateways: readonly Target[];
  /** What the upstream counted so far. */
  counts(): Promise<UpstreamCounts>;
  stop(): Promise<void>;
}

export interface UpstreamCounts {
  readonly initializes: number;
  readonly calls: number;
  readonly streams: number;
}

const COMMITS: readonly Commit[] = ['before_forward', 'before_answer'];
const OPEN_SESSIONS = 64;
const program = (file: string) => join(import.meta.dirname, file);

/** Starts the bench upstream. */
export async function startUpstream(cores: string): Promise<{ readonly child: Child; readonly port: number }> {
  const child = startChild({ command: [process.execPath, program('upstream.ts')], cores });
  return { child, port: await readPort(child) };
}

/** What an upstream on this port counted so far. */
export async function readCounts(port: number): Promise<UpstreamCounts> {
  return (await (await request(`http://127.0.0.1:${port}/counts`)).body.json()) as UpstreamCounts;
}

/** Loads every target in every era, so that what is measured later is compiled code. */
export async function warmTestbed(testbed: Testbed, eras: readonly Era[], seconds: number): Promise<void> {
  for (const target of [testbed.direct, testbed.bare, ...testbed.gateways]) {
    for (const era of eras) await runWrk(target.port, target.requestFiles[era], 16, seconds);
  }
}

/** Starts every target on core 0 and the upstream behind them on core 1; targets that are not measured only idle. */
export async function createTestbed(options: {
  readonly withGateway: boolean;
  readonly withPostgres: boolean;
}): Promise<Testbed> {
  const children: Child[] = [];
  const keep = <T extends { readonly child: Child }>(started: T): T => {
    children.push(started.child);
    return started;
  };
  const upstream = keep(await startUpstream('1'));
  const direct = keep(await startUpstream('0'));
  const origin = `http://127.0.0.1:${upstream.port}`;
  const bareChild = startChild({ command: [process.execPath, program('bare-proxy.ts'), origin], cores: '0' });
  children.push(bareChild);
  const bare = { child: bareChild, port: await readPort(bareChild) };
  const gateways: Target[] = [];
  if (options.withGateway) {
    const embedded = await startGateway({ cores: '0', env: embeddedEnvironment(createTemporaryFolder('data')) });
    children.push(embedded.child);
    gateways.push(...(await createGatewayTargets('gateway', embedded, origin)));
    if (options.withPostgres) {
      const database = await startPostgres();
      const gateway = await startGateway({ cores: '0', env: database.env });
      children.push(gateway.child, database.child);
      gateways.push(...(await createGatewayTargets('gateway on PostgreSQL', gateway, origin, database.postmaster)));
    }
  }
  return {
    upstreamPid: upstream.child.pid,
    upstreamPort: upstream.port,
    direct: await createPlainTarget('direct', direct),
    directOnUpstreamCore: await createPlainTarget('direct', upstream),
    bare: await createPlainTarget('bare proxy', bare),
    gateways,
    counts: () => readCounts(upstream.port),
    async stop() {
      for (const child of children) await child.stop();
    },
  };
}

/** Starts a PostgreSQL on the generator's core, and tells the settings of a gateway that uses it. */
export async function startPostgres() {
  const child = startChild({ command: [process.execPath, program('postgres-server.ts')], endsWithInput: true });
  const port = await readPort(child);
  const env = {
    GATEWAY_DATABASE_URL: `postgres://bench:bench@127.0.0.1:${port}/portcullis`,
    GATEWAY_SECRET_KEY: randomBytes(36).toString('base64'),
    GATEWAY_UPSTREAM_NETWORKS: 'loopback',
    GATEWAY_DEMO_UPSTREAM: 'false',
  };
  return { child, env, postmaster: Number(/POSTMASTER (\d+)/.exec(child.output())?.[1]) };
}

async function createPlainTarget(
  name: string,
  server: { readonly child: Child; readonly port: number },
): Promise<Target> {
  const paths = { legacy: '/legacy', modern: '/modern' };
  const requestFiles = await writeRequests({ port: server.port, apiKey: 'pc_unused' }, paths);
  return { name, port: server.port, pid: server.child.pid, requestFiles };
}

async function createGatewayTargets(
  name: string,
  gateway: RunningGateway,
  origin: string,
  databasePid?: number,
): Promise<Target[]> {
  const targets: Target[] = [];
  for (const commit of COMMITS) {
    const slug = (era: Era) => `bench-${era}-${commit.replace('_', '-')}`;
    for (const era of ['legacy', 'modern'] as const) {
      await createUpstream(gateway, { slug: slug(era), url: `${origin}/${era}`, era, commit });
    }
    const paths = { legacy: `/v1/mcp/${slug('legacy')}`, modern: `/v1/mcp/${slug('modern')}` };
    const requestFiles = await writeRequests(gateway, paths);
    const database = databasePid === undefined ? {} : { databasePid };
    targets.push({
      name: `${name}, ${commit}`,
      port: gateway.port,
      pid: gateway.child.pid,
      commit,
      requestFiles,
      ...database,
    });
  }
  return targets;
}

/** Opens the legacy sessions before any clock starts. */
async function writeRequests(
  server: { readonly port: number; readonly apiKey: string },
  paths: Readonly<Record<Era, string>>,
): Promise<Record<Era, string>> {
  const folder = createTemporaryFolder('requests');
  const files = { legacy: join(folder, 'legacy'), modern: join(folder, 'modern') };
  const to = (era: Era): Destination => ({ port: server.port, apiKey: server.apiKey, path: paths[era] });
  const client = createMcpClient(server.port);
  const sessions = await Promise.all(Array.from({ length: OPEN_SESSIONS }, () => client.openSession(to('legacy'))));
  await client.close();
  writeRequestFile(files.modern, 'modern', [to('modern')]);
  writeRequestFile(
    files.legacy,
    'legacy',
    sessions.map((sessionId) => ({ ...to('legacy'), sessionId })),
  );
  return files;
}
