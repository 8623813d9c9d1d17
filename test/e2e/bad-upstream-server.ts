import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { json } from 'node:stream/consumers';

/** A streamable HTTP upstream that misbehaves in the way its path names. */
export interface BadUpstream {
  /** Its URL for one kind of misbehaviour. */
  url(kind: string): string;
  /** Headers of every POST, in order of arrival. */
  readonly received: readonly IncomingHttpHeaders[];
  /** Resolves when the client of an unfinished answer has gone away. */
  readonly disconnect: Promise<void>;
  /** Lets the answers of the kind `held` go. */
  release(): void;
  stop(): Promise<void>;
}

const PROGRESS = { jsonrpc: '2.0', method: 'notifications/progress', params: { progressToken: 1, progress: 1 } };

/** Starts one on a free loopback port. */
export async function startBadUpstream(): Promise<BadUpstream> {
  const received: IncomingHttpHeaders[] = [];
  const disconnected = Promise.withResolvers<void>();
  const released = Promise.withResolvers<void>();
  const server = createServer((request, response) => {
    received.push(request.headers);
    const kind = request.url?.slice(1) ?? '';
    void json(request).then(
      (message) => kinds[kind]?.(response, (message as { id: unknown }).id, disconnected.resolve, released.promise),
      () => undefined,
    );
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: (kind) => `http://127.0.0.1:${port}/${kind}`,
    received,
    disconnect: disconnected.promise,
    release: released.resolve,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

type Kind = (response: ServerResponse, id: unknown, gone: () => void, released: Promise<void>) => unknown;

const answering =
  (status: number, contentType: string, body: string): Kind =>
  (response) =>
    response.writeHead(status, { 'content-type': contentType }).end(body);

const kinds: Readonly<Record<string, Kind>> = {
  good: (response, id) => endJson(response, { jsonrpc: '2.0', id, result: { content: [] } }),
  held: (response, id, _gone, released) =>
    released.then(() => endJson(response, { jsonrpc: '2.0', id, result: { content: [] } })),
  hang: () => undefined,
  html: answering(200, 'text/html', '<h1>Welcome to nginx!</h1>'),
  truncated: answering(200, 'application/json', '{"jsonrpc":"2.0","id":7,"result":{"content":['),
  'no-rpc': answering(200, 'application/json', '{"hello":"world"}'),
  empty: answering(200, 'application/json', ''),
  'error-500': answering(500, 'application/json', '{"stack":"at /srv/app/secret.js"}'),
  'error-401': (response) => response.writeHead(401, { 'www-authenticate': 'Bearer realm="inner"' }).end(),
  redirect: (response) => response.writeHead(307, { location: 'http://169.254.169.254/latest/meta-data/' }).end(),
  'cut-json': (response) => {
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': 1000 });
    response.write('{"jsonrpc":"2.0","id":7,', () => response.destroy());
  },
  'cut-stream': (response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.write(`event: message\ndata: ${JSON.stringify(PROGRESS)}\n\ndata: {"jsonrpc"`, () => response.destroy());
  },
  'short-stream': (response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.end(`event: message\ndata: ${JSON.stringify(PROGRESS)}\n\n`);
  },
  'slow-json': (response, _id, gone) => {
    response.writeHead(200, { 'content-type': 'application/json' });
    trickle(response, `{"jsonrpc":"2.0","id":7,"result":{"text":"${'x'.repeat(100_000)}`, 'x'.repeat(100_000), gone);
  },
  'slow-stream': (response, _id, gone) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    const event = `data: ${JSON.stringify(PROGRESS)}\n\n`;
    trickle(response, event, event, gone);
  },
};

function endJson(response: ServerResponse, value: unknown): void {
  response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(value));
}

/** Writes 100 MB over minutes, unless the client goes before. */
function trickle(response: ServerResponse, first: string, more: string, gone: () => void): void {
  response.write(first);
  let left = 1000;
  const timer = setInterval(() => (--left > 0 ? response.write(more) : response.end()), 100);
  response.on('close', () => {
    clearInterval(timer);
    gone();
  });
}
