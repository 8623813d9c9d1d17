import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { request } from 'undici';
import { createCredentials } from '../../src/upstream/credentials.ts';
import { createNetworkGuard } from '../../src/upstream/network-guard.ts';
import { createUpstreamPools } from '../../src/upstream/pools.ts';
import { createStreamableClient } from '../../src/upstream/streamable.ts';
import type { Listening } from './fixtures.ts';

/** A client for HTTP upstreams on loopback. */
export function httpClientOf() {
  const pools = createUpstreamPools({ guard: createNetworkGuard(['loopback']) });
  const client = createStreamableClient({ pools, credentials: createCredentials({ open: async (sealed) => sealed }) });
  return { client, pools, close: () => pools.close() };
}

/** The real server-everything on a free port of loopback, over `sse` or `streamableHttp`. */
export async function serveEverything(transport: 'sse' | 'streamableHttp'): Promise<Listening> {
  const port = await freePort();
  const child = spawn('mcp-server-everything', [transport], {
    env: { ...process.env, PORT: String(port) },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  child.stderr.resume();
  await reachable(port);
  const stop = async () => {
    child.kill('SIGKILL');
    await once(child, 'close');
  };
  return { url: `http://127.0.0.1:${port}/${transport === 'sse' ? 'sse' : 'mcp'}`, port, stop };
}

/** Resolves when something on the port of loopback answers HTTP. */
export async function reachable(port: number): Promise<void> {
  for (;;) {
    try {
      const { body } = await request(`http://127.0.0.1:${port}/`);
      await body.dump();
      return;
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}

/** A port of loopback that was free a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
