import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** How a process of the benchmark is started. */
export interface ChildOptions {
  readonly command: readonly [string, ...string[]];
  /** Cores it may use, as `taskset -c` writes them; default 1, the core of the generator. */
  readonly cores?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Opens an IPC channel, for a process that loads memory-probe.ts. */
  readonly ipc?: boolean;
  /** It is never killed but cleans up and ends by itself when its standard input ends, also after the benchmark was killed. */
  readonly endsWithInput?: boolean;
}

/** A started process; `stop` resolves when it is gone. */
export interface Child {
  readonly pid: number;
  readonly process: ChildProcess;
  /** The last 16 KiB of what it printed. */
  output(): string;
  stop(signal?: 'SIGTERM' | 'SIGINT' | 'SIGKILL'): Promise<void>;
}

const running = new Set<ChildProcess>();
const started = new Set<Child>();
const directories = new Set<string>();

process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
  for (const directory of directories) rmSync(directory, { recursive: true, force: true });
});
process.on('SIGINT', () => process.exit(130));
process.on('SIGTERM', () => process.exit(143));
process.on('SIGHUP', () => process.exit(129));

/** A fresh folder under the system's temporary folder, removed when the benchmark ends. */
export function createTemporaryFolder(name: string): string {
  const directory = mkdtempSync(join(process.env['BENCH_DIR'] ?? tmpdir(), `portcullis-bench-${name}-`));
  directories.add(directory);
  return directory;
}

/** Starts a process on its cores; the kernel kills it should the benchmark itself be killed. */
export function startChild(options: ChildOptions): Child {
  const { endsWithInput = false } = options;
  const fate = endsWithInput ? 'clear' : 'KILL';
  const prefix = ['--pdeathsig', fate, 'taskset', '-c', options.cores ?? '1'];
  const child = spawn('setpriv', [...prefix, ...options.command], {
    env: { ...process.env, ...options.env },
    stdio: options.ipc ? ['pipe', 'pipe', 'pipe', 'ipc'] : ['pipe', 'pipe', 'pipe'],
    // Out of the terminal's process group, so that Ctrl-C does not reach it before its input ends.
    detached: endsWithInput,
  });
  if (child.pid === undefined) throw new Error(`could not start ${options.command[0]}`);
  if (!endsWithInput) running.add(child);
  child.once('exit', () => running.delete(child));
  const stop = endsWithInput ? () => endInput(child) : (signal?: NodeJS.Signals) => stopChild(child, signal);
  const handle = { pid: child.pid, process: child, output: collectOutput(child), stop };
  started.add(handle);
  child.once('exit', () => started.delete(handle));
  return handle;
}

/** Stops everything that still runs, for instance after a measurement that failed half-way. */
export async function stopAllChildren(): Promise<void> {
  await Promise.all([...started].map((child) => child.stop()));
}

async function endInput(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, 'exit');
  child.stdin?.end();
  await gone;
}

function collectOutput(child: ChildProcess): () => string {
  let tail = '';
  const keep = (chunk: Buffer) => {
    tail = (tail + chunk.toString()).slice(-16_384);
  };
  child.stdout?.on('data', keep);
  child.stderr?.on('data', keep);
  return () => tail;
}

async function stopChild(child: ChildProcess, signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, 'exit');
  child.kill(signal);
  const late = setTimeout(() => child.kill('SIGKILL'), 15_000);
  await gone;
  clearTimeout(late);
}

/** The port of one of the benchmark's own servers, which print `PORT <number>` when they listen. */
export async function readPort(child: Child): Promise<number> {
  while (child.process.exitCode === null && child.process.signalCode === null) {
    const port = /PORT (\d+)/.exec(child.output())?.[1];
    if (port !== undefined) return Number(port);
    await Promise.race([
      once(child.process.stdout as NonNullable<ChildProcess['stdout']>, 'data'),
      once(child.process, 'exit'),
    ]);
  }
  throw new Error(`${child.process.spawnargs.join(' ')} ended early:\n${child.output()}`);
}

/** Runs a program to its end and returns what it wrote to its standard output; throws when it fails. */
export async function runChild(options: ChildOptions): Promise<string> {
  const child = startChild(options);
  const chunks: Buffer[] = [];
  child.process.stdout?.on('data', (chunk: Buffer) => chunks.push(chunk));
  const [code] = (await once(child.process, 'close')) as [number | null];
  if (code !== 0) throw new Error(`${options.command.join(' ')} ended with ${code}:\n${child.output()}`);
  return Buffer.concat(chunks).toString();
}
