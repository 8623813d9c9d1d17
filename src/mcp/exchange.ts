import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Http2ServerRequest, Http2ServerResponse } from 'node:http2';
import type { Principal } from '../domain/principal.ts';
import type { Target } from '../domain/target.ts';
import type { Era, Upstream } from '../domain/upstream.ts';
import type { ClientAnswer } from './client-answer.ts';
import type { ClientMessage } from './json-rpc.ts';
import type { Rewrite } from './rewrite.ts';
import type { Session } from './sessions.ts';

/** A request as HTTP/1.1 and HTTP/2 both give it. */
export type HttpRequest = IncomingMessage | Http2ServerRequest;
/** A response as HTTP/1.1 and HTTP/2 both take it. */
export type HttpResponse = ServerResponse | Http2ServerResponse;

/** A request on the MCP face of a caller who was admitted to the upstream or gateway. */
export interface McpRequest {
  readonly request: HttpRequest;
  readonly response: HttpResponse;
  readonly requestId: string;
  readonly principal: Principal;
  /** Checks the credential once more, for streams that outlive a revocation; throws as at the beginning. */
  readonly authenticate: () => Principal | Promise<Principal>;
  readonly target: Target;
  /** The live legacy session the client named; absent for modern clients and before `initialize`. */
  readonly session: Session | undefined;
}

/** A POST: one checked JSON-RPC message, with the bytes it came in. */
export interface McpPost extends McpRequest {
  readonly era: Era;
  readonly answer: ClientAnswer;
  readonly message: ClientMessage;
  readonly body: Buffer;
}

/** A request that goes to one upstream. */
export type UpstreamRequest = McpRequest & {
  readonly upstream: Upstream;
  /** What results go through on their way to the client; absent = their bytes pass. */
  readonly rewrite?: Rewrite | undefined;
};

/** A POST that goes to one upstream. */
export type UpstreamPost = McpPost &
  UpstreamRequest & {
    /** Sent to the upstream in place of the client's headers; absent = those that may be forwarded. */
    readonly headers?: Record<string, string>;
    /** Longest silence of the upstream, in milliseconds, instead of its own. */
    readonly timeoutMs?: number | undefined;
  };
