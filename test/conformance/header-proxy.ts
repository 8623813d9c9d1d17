import { Agent, createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { pipeline } from 'node:stream';

/** A running header proxy; `url` is its origin, such as `http://127.0.0.1:4711`. */
export interface HeaderProxy {
  url: string;
  close(): Promise<void>;
}

/**
 * Starts a reverse proxy on 127.0.0.1 that adds one header to every request and changes nothing else: Host, Origin,
 * header case and order stay, bodies are passed on chunk by chunk, and an abort on one side aborts the other.
 * It answers 502 when the target cannot be reached.
 */
export async function startHeaderProxy(options: {
  /** Origin to forward to. */
  target: string;
  header: readonly [name: string, value: string];
}): Promise<HeaderProxy> {
  const target = new URL(options.target);
  const agent = new Agent({ keepAlive: true });
  const server = createServer((req, res) => forward(req, res, { target, agent, header: options.header }));
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(0, '127.0.0.1', resolve));
  return {
    // listen() on a TCP port makes this an AddressInfo.
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async close() {
      agent.destroy();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function forward(
  req: IncomingMessage,
  res: ServerResponse,
  options: { target: URL; agent: Agent; header: readonly [string, string] },
): void {
  const outgoing = request({
    hostname: options.target.hostname,
    port: options.target.port,
    agent: options.agent,
    method: req.method,
    path: req.url,
    headers: [...req.rawHeaders, ...options.header],
  });
  outgoing.on('response', (incoming) => {
    res.sendDate = false;
    res.writeHead(incoming.statusCode ?? 502, incoming.statusMessage ?? '', incoming.rawHeaders).flushHeaders();
    // pipeline destroys both ends when one breaks off; there is nobody else to tell.
    pipeline(incoming, res, () => {});
  });
  outgoing.on('error', () => {
    if (res.headersSent) res.destroy();
    else res.writeHead(502).end();
  });
  res.on('close', () => outgoing.destroy());
  req.pipe(outgoing);
}
