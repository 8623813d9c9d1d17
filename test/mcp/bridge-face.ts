import { randomUUID } from 'node:crypto';
import { createSecret } from '../../src/config/secret.ts';
import { createSecretBox, type SecretBox } from '../../src/config/secret-box.ts';
import type { PrincipalId, ProjectId } from '../../src/domain/ids.ts';
import type { Principal } from '../../src/domain/principal.ts';
import type { Upstream } from '../../src/domain/upstream.ts';
import { readBody } from '../../src/http/body.ts';
import { type Bridge, type BridgeDeps, createBridge } from '../../src/mcp/bridge/bridge.ts';
import { ClientAnswer } from '../../src/mcp/client-answer.ts';
import { readEnvelope } from '../../src/mcp/envelope.ts';
import type { HttpRequest, HttpResponse, McpPost } from '../../src/mcp/exchange.ts';
import { exactValue, parseMessage } from '../../src/mcp/json-rpc.ts';
import type { Session } from '../../src/mcp/sessions.ts';
import type { ForwardEnd } from '../../src/pipeline/call.ts';
import { createEraBook } from '../../src/upstream/era.ts';
import { channelsOf } from '../upstream/channel-clients.ts';
import { serveHttp } from '../upstream/fixtures.ts';
import { httpClientOf } from '../upstream/http-clients.ts';
import type { Json } from './mcp-client.ts';

export interface BridgeFaceOptions extends Partial<Pick<BridgeDeps, 'holdMs' | 'relay' | 'replicaId'>> {
  /** The one upstream, of every URL. */
  readonly upstream: Upstream;
  /** Given to each `forward`. */
  readonly before?: () => Promise<unknown>;
  readonly mapResult?: (result: Json) => Json;
  /** Shares sessions and secrets with this one, as its other replica. */
  readonly replicaOf?: BridgeFace;
}

/** A bridge on a port of its own: it answers what opens a session, and forwards every other request. */
export interface BridgeFace {
  readonly url: string;
  readonly bridge: Bridge;
  readonly box: SecretBox;
  readonly sessions: Map<string, Session>;
  /** How the forwarded requests ended, oldest first. */
  readonly ends: ForwardEnd[];
  /** Resolves when as many requests have ended. */
  ended(count: number): Promise<readonly ForwardEnd[]>;
  /** Puts other settings of the upstream in force. */
  setUpstream(changed: Upstream): void;
  beginStop(): void;
  stop(): Promise<void>;
}

const TARGET = { id: 'target-1' };

export async function startBridgeFace(options: BridgeFaceOptions): Promise<BridgeFace> {
  const { replicaOf, before, mapResult, holdMs, relay, replicaId = 'replica-1' } = options;
  const box = replicaOf?.box ?? createSecretBox(createSecret('0123456789abcdef0123456789abcdef'));
  const sessions = replicaOf?.sessions ?? new Map<string, Session>();
  const http = httpClientOf();
  const { channels, openConnection, close } = channelsOf(http.client);
  const stopping = new AbortController();
  let { upstream } = options;
  const ends: ForwardEnd[] = [];
  const listeners = new Set<() => void>();
  const bridge = createBridge({
    channels,
    eras: createEraBook({ client: http.client, openConnection }),
    seal: (text) => box.seal('bridge', text),
    open: (sealed) => box.open('bridge', sealed),
    replicaId,
    stopping: stopping.signal,
    onEnd: () => {},
    ...(relay === undefined ? {} : { relay }),
    ...(holdMs === undefined ? {} : { holdMs }),
  });

  async function forward(post: McpPost): Promise<void> {
    const request = {
      post,
      upstream,
      message: exactValue(post.message),
      ...(mapResult === undefined ? {} : { mapResult }),
    };
    ends.push(await bridge.forward(request, before?.()));
    for (const listener of listeners) listener();
  }

  async function handle(request: HttpRequest, response: HttpResponse): Promise<void> {
    const answer = new ClientAnswer(response, 'request-1');
    if (request.method !== 'POST') {
      return answer.sendEmpty(request.method === 'DELETE' ? 200 : 405);
    }
    const body = await readBody(request, { maxBytes: 2 ** 24, timeoutMs: 5_000 });
    const message = parseMessage(body);
    const { era } = readEnvelope(request.headers, message);
    const principal = principalOf((request.headers.authorization ?? '').replace('Bearer ', ''));
    const session = sessions.get(String(request.headers['mcp-session-id']));
    const authenticate = () => principal;
    // The bridge reads the id of the target only.
    const target = TARGET as McpPost['target'];
    const post: McpPost = {
      request,
      response,
      requestId: 'request-1',
      principal,
      authenticate,
      target,
      session,
      era,
      answer,
      message,
      body,
    };
    await route(post);
  }

  async function route(post: McpPost): Promise<void> {
    const { message, answer, principal } = post;
    const reply = (result: Json, headers?: Record<string, string>) =>
      answer.sendJson(200, JSON.stringify({ jsonrpc: '2.0', id: message.id, result }), headers);
    if (message.kind === 'response') {
      return answer.sendEmpty((await bridge.takeAnswer(post)) ? 202 : 404);
    }
    switch (message.method) {
      case 'initialize': {
        const id = randomUUID();
        sessions.set(id, {
          id,
          principalId: principal.id,
          targetId: TARGET.id,
          initializeParams: message.params ?? {},
          expireTime: Number.POSITIVE_INFINITY,
        });
        const protocolVersion = message.params?.['protocolVersion'];
        return reply({ protocolVersion, capabilities: CAPABILITIES, serverInfo: INFO }, { 'mcp-session-id': id });
      }
      case 'server/discover': {
        const cache = { ttlMs: 0, cacheScope: 'private' };
        return reply({
          resultType: 'complete',
          supportedVersions: ['2026-07-28'],
          capabilities: CAPABILITIES,
          ...cache,
        });
      }
      case 'logging/setLevel':
        bridge.setLogLevel(post, String(message.params?.['level']));
        return reply({});
      case 'notifications/cancelled':
        return answer.sendEmpty(bridge.cancel(post) ? 202 : 404);
      default:
        return message.kind === 'request' ? forward(post) : answer.sendEmpty(202);
    }
  }

  const server = await serveHttp((request, response) => {
    handle(request, response).catch((error: unknown) => {
      response.writeHead(500).end(String(error));
    });
  });
  return {
    url: server.url,
    bridge,
    box,
    sessions,
    ends,
    ended: async (count) => {
      while (ends.length < count) {
        await new Promise<void>((resolve) => listeners.add(resolve));
      }
      return ends;
    },
    setUpstream: (changed) => {
      upstream = changed;
    },
    beginStop: () => stopping.abort(),
    stop: async () => {
      stopping.abort();
      await server.stop();
      await close();
      await http.close();
    },
  };
}

const CAPABILITIES = { tools: {}, prompts: {}, resources: {}, logging: {} };
const INFO = { name: 'face', version: '1' };

function principalOf(name: string): Principal {
  return {
    kind: 'agent',
    id: name as PrincipalId,
    projectId: 'project-1' as ProjectId,
    name,
    scopes: new Set(['tools:call']),
    grants: 'all',
    teams: [],
    agentState: 'active',
  };
}
