import {
  type DescMessage,
  fromBinary,
  fromJsonString,
  type Message,
  type MessageShape,
  toBinary,
  toJsonString,
} from '@bufbuild/protobuf';
import {
  Code,
  ConnectError,
  type ConnectRouter,
  type ConnectRouterOptions,
  type ContextValues,
  type HandlerContext,
} from '@connectrpc/connect';
import { codeToHttpStatus, errorToJsonBytes } from '@connectrpc/connect/protocol-connect';
import { compressionGzip } from '@connectrpc/connect-node';
import { toApiFailure } from '../api/errors.ts';
import { isGone, writeHead } from '../mcp/answer.ts';
import type { HttpRequest, HttpResponse } from '../mcp/exchange.ts';
import type { EdgeRequest } from './edge-request.ts';
import { createLazySignal } from './lazy-signal.ts';
import { collectUnaryMethods, type UnaryMethod } from './unary-methods.ts';

export interface UnaryAdapterDeps {
  readonly routes: (router: ConnectRouter) => void;
  readonly options: ConnectRouterOptions;
  /** Reads the whole body; throws when it is too large or comes too slowly. */
  readonly readBody: (request: HttpRequest) => Buffer | Promise<Buffer>;
}

/** Answers of at least this many bytes are compressed for clients that take gzip. */
const COMPRESS_FROM = 1024;

/**
 * Serves unary requests of the Connect protocol that come whole and not compressed, as nearly all do; gRPC, gRPC-Web, GET and streams are
 * the framework's, whose machinery for all of them costs more than deciding and recording a call. Gate, interceptors, handlers and
 * errors are the same. (Connect protocol reference, Unary-Request and Unary-Response.)
 */
export function createUnaryAdapter({ routes, options, readBody }: UnaryAdapterDeps) {
  const methods = collectUnaryMethods(routes, options.interceptors ?? []);

  /** The method, when the request is one that this adapter serves. */
  function find({ request, path }: EdgeRequest): UnaryMethod | undefined {
    const { 'content-type': type, 'content-encoding': encoding, 'connect-timeout-ms': timeout } = request.headers;
    const isPlain =
      request.method === 'POST' &&
      (type === JSON_TYPE || type === PROTO_TYPE) &&
      encoding === undefined &&
      (timeout === undefined || isFittingTimeout(timeout, options.maxTimeoutMs));
    return isPlain ? methods.get(path) : undefined;
  }

  /** Runs the method and sends its answer, or its error. */
  async function serve(served: UnaryMethod, edge: EdgeRequest, values: ContextValues): Promise<void> {
    try {
      const { output } = served.method;
      const message = await answer(served, edge, values);
      const body = isBinary(edge) ? toBinary(output, message) : toJsonString(output, message, options.jsonOptions);
      await send(edge, 200, isBinary(edge) ? PROTO_TYPE : JSON_TYPE, body);
    } catch (error) {
      // What gate and interceptors throw is what is to be sent.
      const sent = error instanceof ConnectError ? error : toApiFailure(error, edge.requestId).sent;
      const body = errorToJsonBytes(sent, options.jsonOptions);
      await send(edge, codeToHttpStatus(sent.code), JSON_TYPE, body);
    }
  }

  async function answer({ method, run }: UnaryMethod, edge: EdgeRequest, values: ContextValues): Promise<Message> {
    const context = createContext(method, edge, values, createLazySignal(edge, options.shutdownSignal));
    await options.requestGate?.(context);
    const body = await readBody(edge.request);
    return run(parse(method.input, edge, body), context);
  }

  function parse<Desc extends DescMessage>(schema: Desc, edge: EdgeRequest, body: Buffer): MessageShape<Desc> {
    try {
      return isBinary(edge) ? fromBinary(schema, body) : fromJsonString(schema, body.toString(), options.jsonOptions);
    } catch (error) {
      throw toApiFailure(ConnectError.from(error, Code.InvalidArgument), edge.requestId).sent;
    }
  }

  return { find, serve };
}

const JSON_TYPE = 'application/json';
const PROTO_TYPE = 'application/proto';

function isBinary({ request }: EdgeRequest): boolean {
  return request.headers['content-type'] === PROTO_TYPE;
}

function isFittingTimeout(timeout: string | string[], maxTimeoutMs = Number.POSITIVE_INFINITY): boolean {
  return typeof timeout === 'string' && /^\d{1,10}$/.test(timeout) && Number(timeout) <= maxTimeoutMs;
}

/** Headers are carried neither way: handlers here take what they need from the context values. */
function createContext(
  method: UnaryMethod['method'],
  { request, path }: EdgeRequest,
  values: ContextValues,
  signal: () => AbortSignal,
): HandlerContext {
  const timeout = request.headers['connect-timeout-ms'];
  return {
    method,
    service: method.parent,
    protocolName: 'connect',
    requestMethod: 'POST',
    url: path,
    values,
    timeoutMs: () => (timeout === undefined ? undefined : Number(timeout)),
    get signal() {
      return signal();
    },
    get requestHeader() {
      return new Headers();
    },
    get responseHeader() {
      return new Headers();
    },
    get responseTrailer() {
      return new Headers();
    },
  };
}

async function send({ request, response }: EdgeRequest, status: number, type: string, body: string | Uint8Array) {
  const size = Buffer.byteLength(body);
  const head = { 'content-type': type, 'accept-encoding': 'gzip' };
  const isCompressed =
    size >= COMPRESS_FROM && /\bgzip\b(?!\s*;\s*q=0(?:\.0*)?\s*(?:,|$))/.test(request.headers['accept-encoding'] ?? '');
  const sent = isCompressed ? await compressionGzip.compress(Buffer.from(body)) : body;
  if (response.headersSent || isGone(response)) {
    return;
  }
  writeHead(response, status, {
    ...head,
    ...(isCompressed && { 'content-encoding': 'gzip' }),
    'content-length': Buffer.byteLength(sent),
  });
  end(response, sent);
}

/** `end` of either HTTP version. */
function end(response: HttpResponse, body: string | Uint8Array): void {
  (response.end as (body: string | Uint8Array) => unknown).call(response, body);
}
