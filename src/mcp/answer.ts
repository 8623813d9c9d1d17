import type { HttpResponse } from './exchange.ts';

type Headers = Record<string, string | number>;

/** Sends a JSON text or bytes as the whole answer. */
export function sendJson(
  response: HttpResponse,
  requestId: string,
  status: number,
  body: string | Buffer,
  extra?: Headers,
): void {
  if (response.headersSent || response.destroyed) {
    return;
  }
  writeHead(response, status, {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(body),
    'x-request-id': requestId,
    ...extra,
  });
  response.end(body);
}

/** Sends an answer without a body, such as 202 for a notification. */
export function sendEmpty(response: HttpResponse, requestId: string, status: number): void {
  if (!response.headersSent && !response.destroyed) {
    writeHead(response, status, { 'content-length': 0, 'x-request-id': requestId });
    response.end();
  }
}

/** Begins an event stream; proxies are told not to hold events back. */
export function startEventStream(response: HttpResponse, requestId: string, extra?: Headers): void {
  writeHead(response, 200, {
    'content-type': 'text/event-stream',
    'cache-control': 'no-cache, no-transform',
    'x-accel-buffering': 'no',
    'x-request-id': requestId,
    ...extra,
  });
  if ('flushHeaders' in response) {
    response.flushHeaders();
  }
}

/** True when nobody takes the answer any more. */
export function isGone(response: HttpResponse): boolean {
  return 'stream' in response ? (response.stream?.destroyed ?? true) : response.destroyed;
}

/** Calls the listener when the exchange is over, at once when it is over already: a `close` that was emitted before is not repeated. */
export function onClose(response: HttpResponse, listener: () => void): void {
  if (isGone(response)) {
    listener();
  } else {
    response.on('close', listener);
  }
}

/** An event stream event with one JSON-RPC message. */
export function messageEvent(json: string): string {
  return `event: message\ndata: ${json}\n\n`;
}

/** Bytes that may wait for a client that reads slower than events come, before it is cut off. */
const MAX_WAITING = 4 * 1024 * 1024;

/** Writes to an event stream that nobody can slow down; a client that does not keep pace loses its connection instead of filling the memory. */
export function writeEvent(response: HttpResponse, event: string): void {
  if (response.destroyed || response.writableEnded) {
    return;
  }
  writeChunk(response, event);
  if (response.writableLength > MAX_WAITING) {
    response.destroy();
  }
}

/** How often a quiet stream gets a comment, so that nothing between takes it for dead. */
const KEEP_ALIVE_MS = 15_000;

/** Sends a comment whenever the stream was quiet for a while; the returned function stops it. `isQuiet` must be true between events only. */
export function keepAlive(response: HttpResponse, isQuiet: () => boolean = () => true): () => void {
  const timer = setInterval(() => {
    if (isQuiet() && !response.writableNeedDrain) {
      writeChunk(response, ':\n\n');
    }
  }, KEEP_ALIVE_MS);
  return () => clearInterval(timer);
}

// The types of HTTP/1.1 and HTTP/2 responses overload these methods differently, so a call on their union does not compile.

/** `writeHead` of either HTTP version. */
export function writeHead(response: HttpResponse, status: number, headers: Headers): void {
  (response.writeHead as (status: number, headers: Headers) => unknown).call(response, status, headers);
}

/** `write` of either HTTP version; false = wait for `drain`. */
export function writeChunk(response: HttpResponse, chunk: string | Buffer): boolean {
  return (response.write as (chunk: string | Buffer) => boolean).call(response, chunk);
}
