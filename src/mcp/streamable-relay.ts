import type { OutcomeStatus } from '../domain/decision.ts';
import { newId } from '../domain/ids.ts';
import type { Upstream } from '../domain/upstream.ts';
import type { ForwardEnd } from '../pipeline/call.ts';
import type { ExchangeRequest, StreamableClient } from '../upstream/streamable.ts';
import { AnswerRelay, type AnswerRelayOptions } from './answer-relay.ts';
import { ClientAnswer } from './client-answer.ts';
import { declaresUrlElicitation } from './elicitation.ts';
import type { McpRequest, UpstreamPost, UpstreamRequest } from './exchange.ts';
import { forwardedHeaders } from './forwarded-headers.ts';
import type { Sessions } from './sessions.ts';

export interface StreamableRelayDeps {
  readonly client: StreamableClient;
  readonly sessions: Sessions;
  /** Told how each exchange ended, for the upstream's health and era. */
  readonly onEnd: (upstream: Upstream, status: OutcomeStatus) => void;
}

export type StreamableRelay = ReturnType<typeof createStreamableRelay>;

/** Carries requests to streamable HTTP upstreams and the answers back, with the client's own bytes both ways. */
export function createStreamableRelay(deps: StreamableRelayDeps) {
  /** One JSON-RPC message; resolves when the answer is delivered. */
  function post(post: UpstreamPost, before?: Promise<unknown>): Promise<ForwardEnd> {
    const { message, body, timeoutMs } = post;
    const id = message.kind === 'request' ? message.id : undefined;
    const extraHeaders = message.method === 'initialize' ? sessionMinter(deps.sessions, post) : undefined;
    const longLived = message.method === 'subscriptions/listen';
    const toUpstream = { method: 'POST', body, longLived, timeoutMs, ...headersOf(post) } as const;
    return exchange(post, toUpstream, { answer: post.answer, id, before, extraHeaders });
  }

  /** The server-to-client stream of a legacy session. */
  function openStream(request: UpstreamRequest): Promise<ForwardEnd> {
    const answer = new ClientAnswer(request.response, request.requestId);
    return exchange(request, { method: 'GET', ...headersOf(request) }, { answer, id: undefined });
  }

  /** Ends a legacy session at the upstream too; resolves when it has answered, whatever it says. */
  function endSession(request: UpstreamRequest): Promise<void> {
    return new Promise((resolve) => {
      const sink = { onResponse: () => {}, onData: () => true, onEnd: resolve, onError: () => resolve() };
      deps.client.exchange(request.upstream, { method: 'DELETE', ...headersOf(request) }, sink);
    });
  }

  function exchange(
    request: UpstreamRequest,
    toUpstream: ExchangeRequest,
    options: Pick<AnswerRelayOptions, 'answer' | 'id' | 'before' | 'extraHeaders'>,
  ): Promise<ForwardEnd> {
    const { upstream } = request;
    if (options.answer.isGone) {
      return Promise.resolve({ status: 'canceled', responseBytes: 0 });
    }
    const hasSession = request.session?.upstreamSessionId !== undefined;
    return new Promise((resolve) => {
      const { slug } = upstream;
      const relay = new AnswerRelay({ ...options, slug, hasSession, rewrite: request.rewrite }, (end) => {
        deps.onEnd(upstream, end.status);
        resolve(end);
      });
      relay.attach(deps.client.exchange(upstream, toUpstream, relay));
    });
  }

  return { post, openStream, endSession };
}

function headersOf(request: McpRequest & Pick<UpstreamPost, 'headers'>): { headers: Record<string, string> } {
  return { headers: request.headers ?? forwardedHeaders(request.request.headers, request.session?.upstreamSessionId) };
}

/**
 * Gives the client a session id of the gateway's own in place of the upstream's; also where the upstream has no sessions, when the
 * client can be asked to open a URL, which the gateway must still know when it wants to ask.
 */
function sessionMinter(sessions: Sessions, post: UpstreamPost): AnswerRelayOptions['extraHeaders'] {
  const elicitsUrl = declaresUrlElicitation(post.message.params?.['capabilities']);
  return (status, headers) => {
    const upstreamSessionId = headers['mcp-session-id'];
    const hasSession = typeof upstreamSessionId === 'string';
    if (!hasSession && !(elicitsUrl && status === 200)) {
      return undefined;
    }
    return sessions
      .mint({
        id: newId(),
        principalId: post.principal.id,
        targetId: post.target.id,
        ...(hasSession ? { upstreamSessionId } : {}),
        ...(elicitsUrl ? { elicitsUrl } : {}),
      })
      .then((token) => ({ 'mcp-session-id': token }));
  };
}
