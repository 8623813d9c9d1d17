import { createServer as createHttp1, type Server as Http1Server } from 'node:http';
import { createServer as createHttp2, createSecureServer, type Http2Session } from 'node:http2';
import { type AddressInfo, createServer as createTcp, type Server, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { newId } from '../domain/ids.ts';
import type { HttpRequest, HttpResponse } from '../mcp/exchange.ts';

export type RequestHandler = (request: HttpRequest, response: HttpResponse) => void;

export interface ListenerOptions {
  readonly host: string;
  /** 0 = any free port. */
  readonly port: number;
  /** PEM texts; present = TLS with ALPN, absent = plain text with HTTP/1.1 and h2c on the one port. */
  readonly tls?: { readonly cert: string; readonly key: string };
  /** Time a client has for the head of a request and, again, for all of it, in milliseconds. */
  readonly requestTimeoutMs: number;
}

/** An open port. */
export interface Listener {
  readonly port: number;
  /** Stops accepting and ends idle connections; resolves at once. */
  stopAccepting(): void;
  /** Ends every connection and frees the port. */
  close(): Promise<void>;
}

const http2Preface = Buffer.from('PRI');
/** How long a connection without a request stays open. */
const KEEP_ALIVE_MS = 65_000;
const http2Settings = { maxConcurrentStreams: 250 };

/** Opens one port for HTTP/1.1 and HTTP/2. */
export async function openListener(options: ListenerOptions, handler: RequestHandler): Promise<Listener> {
  const sockets = new Set<Socket>();
  const sessions = new Set<Http2Session>();
  const { server, http1 } =
    options.tls === undefined ? plain(options, handler, sessions) : secure(options, handler, sessions);
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    socket.on('error', () => socket.destroy());
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host: options.host, port: options.port, backlog: 4096 }, resolve);
  });
  return {
    port: (server.address() as AddressInfo).port,
    stopAccepting: () => {
      server.close();
      http1?.closeIdleConnections();
      for (const session of sessions) {
        session.close();
      }
    },
    close: () => {
      const closed = new Promise<void>((resolve) => (server.listening ? server.close(() => resolve()) : resolve()));
      for (const socket of sockets) {
        socket.destroy();
      }
      return closed;
    },
  };
}

function plain(
  options: ListenerOptions,
  handler: RequestHandler,
  sessions: Set<Http2Session>,
): { server: Server; http1: Http1Server } {
  const http1 = createHttp1(http1Options(options), handler);
  // Without a listen of its own the server would not start to watch its timeouts.
  http1.emit('listening');
  http1.on('clientError', refuseBrokenRequest);
  const http2 = createHttp2({ settings: http2Settings }, handler);
  http2.on('session', (session) => track(sessions, session, options.requestTimeoutMs));
  const server = createTcp((socket) => dispatchByPreface(socket, options.requestTimeoutMs, http1, http2));
  server.on('close', () => http1.close());
  return { server, http1 };
}

function secure(
  options: ListenerOptions,
  handler: RequestHandler,
  sessions: Set<Http2Session>,
): { server: Server; http1: undefined } {
  const server = createSecureServer(
    { ...options.tls, ...http1Options(options), allowHTTP1: true, settings: http2Settings },
    handler,
  );
  server.on('session', (session) => track(sessions, session, options.requestTimeoutMs));
  server.on('clientError', refuseBrokenRequest);
  return { server, http1: undefined };
}

/** Answers what the HTTP parser refuses (broken syntax, contradicting lengths, a head that comes too slowly) and closes the connection. */
function refuseBrokenRequest(error: Error & { code?: string }, socket: Duplex): void {
  if (!socket.writable) {
    socket.destroy();
    return;
  }
  const isSlow = error.code === 'ERR_HTTP_REQUEST_TIMEOUT';
  const message = isSlow ? 'The request was not complete in time.' : 'The request is not valid HTTP.';
  const requestId = newId();
  const body = JSON.stringify({ error: { code: 'validation_failed', message, request_id: requestId } });
  const status = isSlow ? '408 Request Timeout' : '400 Bad Request';
  socket.end(
    `HTTP/1.1 ${status}\r\nContent-Type: application/json\r\nX-Request-Id: ${requestId}\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n${body}`,
  );
}

function http1Options(options: ListenerOptions) {
  return {
    headersTimeout: options.requestTimeoutMs,
    requestTimeout: options.requestTimeoutMs + 1_000,
    keepAliveTimeout: KEEP_ALIVE_MS,
    connectionsCheckingInterval: 2_000,
    maxHeaderSize: 32 * 1024,
    // Two of a header that must be one are then seen as what they are, instead of the first one winning silently.
    joinDuplicateHeaders: true,
  };
}

/** Keeps hold of a session, and ends it when no request came or ran for a while: HTTP/2 has no such limit of its own. */
function track(sessions: Set<Http2Session>, session: Http2Session, firstRequestMs: number): void {
  let open = 0;
  sessions.add(session);
  session.on('close', () => sessions.delete(session));
  session.on('error', () => session.destroy());
  session.setTimeout(firstRequestMs, () => {
    if (open === 0) {
      session.destroy();
    }
  });
  session.on('stream', (stream) => {
    open++;
    session.setTimeout(KEEP_ALIVE_MS);
    stream.on('close', () => {
      open--;
    });
  });
}

/** Looks at the first bytes of a connection: HTTP/2 with prior knowledge begins with `PRI` (RFC 9113 section 3.4). */
function dispatchByPreface(socket: Socket, timeoutMs: number, http1: ConnectionTaker, http2: ConnectionTaker): void {
  const giveUp = () => socket.destroy();
  let head = Buffer.alloc(0);
  const look = () => {
    const chunk: Buffer | null = socket.read();
    head = chunk === null ? head : Buffer.concat([head, chunk]);
    if (mayBecomePreface(head)) {
      socket.once('readable', look);
      return;
    }
    socket.setTimeout(0);
    socket.off('timeout', giveUp);
    socket.unshift(head);
    const isHttp2 = head.subarray(0, http2Preface.length).equals(http2Preface);
    (isHttp2 ? http2 : http1).emit('connection', socket);
  };
  socket.setTimeout(timeoutMs, giveUp);
  socket.once('readable', look);
}

interface ConnectionTaker {
  emit(event: 'connection', socket: Socket): boolean;
}

/** True while too few bytes have come to tell the two apart. */
function mayBecomePreface(head: Buffer): boolean {
  return head.length < http2Preface.length && http2Preface.subarray(0, head.length).equals(head);
}
