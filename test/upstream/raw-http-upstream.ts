import type { IncomingHttpHeaders, ServerResponse } from 'node:http';
import type { Upstream } from '../../src/domain/upstream.ts';
import { type Listening, serveTexts, upstreamOf } from './fixtures.ts';

type Json = Readonly<Record<string, unknown>>;

/** One HTTP request that the raw upstream received. */
export interface RawRequest {
  readonly httpMethod: string;
  readonly headers: IncomingHttpHeaders;
  /** The JSON-RPC message of a POST; empty for the others. */
  readonly message: Json;
  readonly method: string;
  readonly id: unknown;
  readonly params: Json;
  readonly response: ServerResponse;
  /** Answers with a JSON-RPC result. */
  result(value: object): void;
  /** Answers with this status and text. */
  text(status: number, contentType: string, body: string): void;
  /** Begins an event stream. */
  stream(): RawStream;
}

/** An event stream of the raw upstream. */
export interface RawStream {
  /** Writes one event, with an id if one is given. */
  event(message: object, id?: string): void;
  write(text: string): void;
  end(): void;
}

/** True = the handler took the request; else it is answered as a plain server would. */
export type RawHandler = (request: RawRequest) => boolean;

export interface RawUpstream extends Listening {
  readonly upstream: Upstream;
  /** What came, oldest first. */
  readonly received: readonly RawRequest[];
  /** Methods of the messages that came, and GET and DELETE. */
  methods(): string[];
  count(method: string): number;
  /** Waits until the n-th request of a method has come. */
  arrived(method: string, n?: number): Promise<RawRequest>;
  /** All sessions end: they are answered with 404. */
  forgetSessions(): void;
}

/**
 * A legacy streamable HTTP upstream made of plain HTTP: it gives sessions, knows no others, echoes the params of requests, and has no GET
 * stream, unless the handler takes a request.
 */
export async function serveRaw(
  handler: RawHandler = () => false,
  changes: Partial<Upstream> = {},
): Promise<RawUpstream> {
  const received: RawRequest[] = [];
  const sessions = new Set<string>();
  const waiting = new Set<() => void>();
  const listening = await serveTexts((request, text, response) => {
    const entry = rawRequest(request.method ?? '', request.headers, text, response);
    received.push(entry);
    if (entry.method === 'initialize' && entry.httpMethod === 'POST') {
      const id = `session-${received.filter(({ method }) => method === 'initialize').length}`;
      sessions.add(id);
      response.setHeader('mcp-session-id', id);
    } else if (!sessions.has(String(entry.headers['mcp-session-id'])) && changes.era !== 'modern') {
      const error = { code: -32001, message: 'Session not found' };
      entry.text(404, 'application/json', JSON.stringify({ jsonrpc: '2.0', id: null, error }));
      return;
    }
    if (!handler(entry)) {
      answerPlainly(entry);
    }
    for (const wake of waiting) {
      wake();
    }
  });
  const of = (name: string) => received.filter(({ method }) => method === name);
  return {
    ...listening,
    upstream: upstreamOf({ kind: 'streamable_http', url: listening.url }, changes),
    received,
    methods: () => received.map(({ method }) => method),
    count: (method) => of(method).length,
    async arrived(method, n = 1) {
      while (of(method).length < n) {
        await new Promise<void>((resolve) => waiting.add(resolve));
        waiting.clear();
      }
      return of(method)[n - 1] as RawRequest;
    },
    forgetSessions: () => sessions.clear(),
  };
}

function rawRequest(
  httpMethod: string,
  headers: IncomingHttpHeaders,
  text: string,
  response: ServerResponse,
): RawRequest {
  const message = (text === '' ? {} : JSON.parse(text)) as Json;
  const answer = (status: number, contentType: string, body: string) =>
    void response.writeHead(status, { 'content-type': contentType }).end(body);
  return {
    httpMethod,
    headers,
    message,
    method: httpMethod === 'POST' ? ((message['method'] as string | undefined) ?? 'response') : httpMethod,
    id: message['id'],
    params: (message['params'] ?? {}) as Json,
    response,
    text: answer,
    result: (value) =>
      answer(200, 'application/json', JSON.stringify({ jsonrpc: '2.0', id: message['id'], result: value })),
    stream() {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.flushHeaders();
      return {
        event: (event, id) =>
          void response.write(`${id === undefined ? '' : `id: ${id}\n`}data: ${JSON.stringify(event)}\n\n`),
        write: (part) => void response.write(part),
        end: () => void response.end(),
      };
    },
  };
}

function answerPlainly(request: RawRequest): void {
  if (request.httpMethod === 'GET') {
    request.text(405, 'text/plain', '');
  } else if (request.httpMethod === 'DELETE' || request.id === undefined || request.method === 'response') {
    request.text(202, 'text/plain', '');
  } else if (request.method === 'initialize') {
    request.result({ protocolVersion: '2025-06-18', capabilities: {}, serverInfo: { name: 'raw', version: '1' } });
  } else {
    request.result(request.params);
  }
}
