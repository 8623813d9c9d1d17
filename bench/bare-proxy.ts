import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type Dispatcher, Pool } from 'undici';

/**
 * The yardstick: the least a reverse proxy on node:http and undici can do. It reads the body, forwards headers and bytes, and pipes
 * the answer; no authentication, no policy, no log. Use: `bare-proxy.ts <origin of the upstream>`.
 * Prints `PORT <number>` when it listens, and ends when its standard input ends.
 */
const origin = process.argv[2];
if (origin === undefined) throw new Error('usage: bare-proxy.ts <origin of the upstream>');
const pool = new Pool(origin, { connections: 64, pipelining: 1 });

/** Headers of one connection, which a proxy must not pass on (RFC 9110 section 7.6.1), and the length, which undici sets. */
const hopByHop = new Set([
  'connection',
  'keep-alive',
  'transfer-encoding',
  'content-length',
  'host',
  'upgrade',
  'te',
  'expect',
]);

function requestHeaders(raw: readonly string[]): string[] {
  const kept: string[] = [];
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const name = raw[i] as string;
    if (!hopByHop.has(name.toLowerCase())) kept.push(name, raw[i + 1] as string);
  }
  return kept;
}

function responseHeaders(headers: Readonly<Record<string, string | string[] | undefined>>): string[] {
  const kept: string[] = [];
  for (const name in headers) {
    if (name === 'connection' || name === 'keep-alive' || name === 'transfer-encoding') continue;
    const value = headers[name];
    if (typeof value === 'string') kept.push(name, value);
    else for (const one of value ?? []) kept.push(name, one);
  }
  return kept;
}

function createHandler(response: ServerResponse): Dispatcher.DispatchHandler {
  return {
    // undici refuses a handler without it.
    onRequestStart() {},
    onResponseStart(_controller, status, headers) {
      response.writeHead(status, responseHeaders(headers));
    },
    onResponseData(_controller, chunk) {
      response.write(chunk);
    },
    onResponseEnd() {
      response.end();
    },
    onResponseError() {
      if (response.headersSent) response.destroy();
      else response.writeHead(502, ['Content-Length', '0']).end();
    },
  };
}

function forward(request: IncomingMessage, response: ServerResponse, body: Buffer | null): void {
  const options = {
    path: request.url ?? '/',
    method: request.method ?? 'GET',
    headers: requestHeaders(request.rawHeaders),
    body,
  };
  pool.dispatch(options, createHandler(response));
}

const server = createServer({ keepAliveTimeout: 120_000, requestTimeout: 0 }, (request, response) => {
  let first: Buffer | null = null;
  const more: Buffer[] = [];
  request.on('data', (chunk: Buffer) => {
    if (first === null) first = chunk;
    else more.push(chunk);
  });
  request.on('end', () =>
    forward(request, response, more.length === 0 || first === null ? first : Buffer.concat([first, ...more])),
  );
});

server.listen(0, '127.0.0.1', () => {
  process.stdout.write(`PORT ${(server.address() as AddressInfo).port}\n`);
});
process.stdin.resume().on('end', () => process.exit(0));
