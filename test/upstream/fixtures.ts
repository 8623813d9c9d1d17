import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createServer as createTcpServer, type Socket } from 'node:net';
import type { ProjectId, UpstreamId } from '../../src/domain/ids.ts';
import type { Transport, Upstream } from '../../src/domain/upstream.ts';

/** An upstream with the given transport and otherwise plain settings. */
export function upstreamOf(transport: Transport, changes: Partial<Upstream> = {}): Upstream {
  return {
    id: 'upstream-1' as UpstreamId,
    projectId: 'project-1' as ProjectId,
    slug: 'demo',
    version: 'v1',
    displayName: '',
    description: '',
    transport,
    auth: { kind: 'none' },
    sealedSecrets: '',
    headerNames: [],
    envNames: [],
    toolFilter: { allowedTools: [], deniedTools: [] },
    decisionCommit: 'before_forward',
    timeoutMs: 5000,
    enabled: true,
    revision: 1,
    createTime: 0,
    updateTime: 0,
    ...changes,
  };
}

/** A socket server on loopback that ends with all its connections. */
export interface Listening {
  readonly url: string;
  readonly port: number;
  stop(): Promise<void>;
}

/** An HTTP server on a loopback port, without one on a free one. */
export async function serveHttp(handler: RequestListener, wantedPort = 0): Promise<Listening> {
  const server = createServer(handler);
  await new Promise<void>((resolve) => server.listen(wantedPort, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const stop = () =>
    new Promise<void>((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    });
  return { url: `http://127.0.0.1:${port}/mcp`, port, stop };
}

/** Like {@link serveHttp}, with the whole body of each request as text; an answer that throws is a bug of the test. */
export function serveTexts(
  answer: (request: IncomingMessage, text: string, response: ServerResponse) => void,
): Promise<Listening> {
  return serveHttp((request, response) => {
    let text = '';
    request.setEncoding('utf8');
    request.on('data', (part: string) => {
      text += part;
    });
    request.on('end', () => answer(request, text, response));
  });
}

/** A TCP server on a free loopback port, for upstreams that are not even HTTP. */
export async function serveTcp(handler: (socket: Socket) => void): Promise<Listening> {
  const sockets = new Set<Socket>();
  const server = createTcpServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    handler(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const stop = () =>
    new Promise<void>((resolve) => {
      server.close(() => resolve());
      for (const socket of sockets) {
        socket.destroy();
      }
    });
  return { url: `http://127.0.0.1:${port}/mcp`, port, stop };
}
