import { fileURLToPath } from 'node:url';
import type { Transport, Upstream, UpstreamSecrets } from '../../src/domain/upstream.ts';
import type { UpstreamLog } from '../../src/upstream/connection.ts';
import { createCredentials } from '../../src/upstream/credentials.ts';
import { createUpstreamProcesses } from '../../src/upstream/processes.ts';
import { upstreamOf } from './fixtures.ts';

type Stdio = Extract<Transport, { kind: 'stdio' }>;

/** A log that keeps nothing. */
export const silentLog: UpstreamLog = { debug: () => undefined, warn: () => undefined };

/** The fake stdio upstream of this folder, with settings and flags. */
export function fakeUpstream(
  transport: Partial<Stdio> = {},
  changes: Partial<Upstream> & { secrets?: UpstreamSecrets } = {},
): Upstream {
  const { secrets, ...rest } = changes;
  return upstreamOf(
    {
      kind: 'stdio',
      command: process.execPath,
      sharing: 'per_principal',
      maxProcesses: 4,
      idleTimeoutMs: 60_000,
      ...transport,
      args: [fileURLToPath(new URL('fake-stdio-upstream.ts', import.meta.url)), ...(transport.args ?? [])],
    },
    { ...(secrets === undefined ? {} : { sealedSecrets: JSON.stringify(secrets) }), ...rest },
  );
}

/** A starter of processes that may run Node and the servers of node_modules. */
export function processesOf(log: UpstreamLog = silentLog) {
  return createUpstreamProcesses({
    credentials: createCredentials({ open: async (sealed) => sealed }),
    allowedCommands: [
      process.execPath,
      'mcp-server-everything',
      'mcp-server-memory',
      'mcp-server-filesystem',
      'no-such-command',
    ],
    hostEnv: process.env,
    log,
  });
}

/** True while a process exists. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** Resolves when the process is gone; the test's own time limit ends the wait. */
export async function gone(pid: number): Promise<void> {
  while (isAlive(pid)) {
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
