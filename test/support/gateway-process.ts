import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import type { MemoryReading } from '../../bench/memory-probe.ts';
import { createApiKey } from '../../src/authn/api-key.ts';

export interface GatewayOptions {
  /** Added to the environment the gateway starts with. */
  readonly env?: Readonly<Record<string, string>>;
  /** Data folder to use, which `stop` leaves alone; without it a new one is made, and removed by `stop`. */
  readonly dataDir?: string;
  /** API key the first start shall make; without it a new one. A later start on the same data must be given the first one's. */
  readonly apiKey?: string;
  /** Makes `retainedBytes` work. */
  readonly withMemoryProbe?: boolean;
}

/** A gateway in a process of its own. */
export interface GatewayProcess {
  readonly baseUrl: string;
  readonly port: number;
  /** Key with the scopes gateway:read, gateway:write, tools:call, approvals:decide. */
  readonly apiKey: string;
  readonly adminPassword: string;
  readonly process: ChildProcess;
  /** What it has printed so far, standard output and error. */
  output(): string;
  /** Collects its garbage and tells what it keeps: JavaScript heap and what hangs on it outside. */
  retainedBytes(): Promise<number>;
  /** Ends it with SIGTERM and resolves with its exit code. */
  stop(): Promise<number | null>;
  /** Ends it with SIGKILL. */
  kill(): Promise<void>;
}

const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url));
const MEMORY_PROBE = new URL('../../bench/memory-probe.ts', import.meta.url).href;
export const ADMIN_PASSWORD = 'correct-horse-battery-42';

/** Starts `src/main.ts` as a process on a free loopback port; resolves when it listens, rejects with its output when it ends before. */
export async function startGateway(options: GatewayOptions = {}): Promise<GatewayProcess> {
  const apiKey = options.apiKey ?? createApiKey();
  const dataDir = options.dataDir ?? (await mkdtemp(join(tmpdir(), 'portcullis-test-')));
  const { withMemoryProbe = false } = options;
  const flags = withMemoryProbe ? ['--expose-gc', '--import', MEMORY_PROBE] : [];
  const child = spawn(process.execPath, [...flags, MAIN], {
    env: {
      PATH: process.env['PATH'],
      HOME: process.env['HOME'],
      GATEWAY_PORT: '0',
      GATEWAY_DATA_DIR: dataDir,
      GATEWAY_BOOTSTRAP_API_KEY: apiKey,
      GATEWAY_ADMIN_PASSWORD: ADMIN_PASSWORD,
      GATEWAY_UPSTREAM_NETWORKS: 'loopback',
      ...options.env,
    },
    stdio: ['ignore', 'pipe', 'pipe', ...(withMemoryProbe ? ['ipc' as const] : [])],
  }) as ChildProcess & { readonly stdout: Readable; readonly stderr: Readable }; // both are piped
  let output = '';
  child.stderr.on('data', (chunk) => {
    output += chunk;
  });
  const ended = new Promise<number | null>((resolve) => child.on('close', resolve));
  const port = await new Promise<number>((resolve, reject) => {
    createInterface({ input: child.stdout }).on('line', (line) => {
      output += `${line}\n`;
      const found = /"port":(\d+)/.exec(line);
      if (found !== null) {
        resolve(Number(found[1]));
      }
    });
    void ended.then((code) => reject(new Error(`the gateway ended with code ${code}:\n${output}`)));
  });
  const end = async (signal: NodeJS.Signals): Promise<number | null> => {
    child.kill(signal);
    const code = await ended;
    if (options.dataDir === undefined) {
      await rm(dataDir, { recursive: true, force: true });
    }
    return code;
  };
  return {
    baseUrl: `http://127.0.0.1:${port}`,
    port,
    apiKey,
    adminPassword: ADMIN_PASSWORD,
    process: child,
    output: () => output,
    retainedBytes: async () => {
      child.send('read');
      const [{ retained }] = (await once(child, 'message')) as [MemoryReading];
      return retained;
    },
    stop: () => end('SIGTERM'),
    kill: async () => void (await end('SIGKILL')),
  };
}
