import type { IncomingMessage, ServerResponse } from 'node:http';
import { json } from 'node:stream/consumers';
import { toNodeHandler } from '@modelcontextprotocol/node';
import { SSEServerTransport } from '@modelcontextprotocol/sdk/server/sse.js';
import { createMcpHandler, type McpServer } from '@modelcontextprotocol/server';
import type { Gateway, GatewayUpstream } from '../../src/domain/gateway.ts';
import type { GatewayId, ProjectId, UpstreamId } from '../../src/domain/ids.ts';
import type { Transport, Upstream } from '../../src/domain/upstream.ts';
import { createLegacySessions } from '../conformance/fixture/legacy-sessions.ts';
import { serveHttp, upstreamOf } from '../upstream/fixtures.ts';
import { addTool, COMMON, createShop, SHOP_PROGRAM, stockOf, tellWatched, watchedBy } from './shop-server.ts';

/** A real upstream of a test. */
export interface Shop {
  readonly upstream: Upstream;
  /** Adds a tool; its clients are told. */
  addTool(tool: string): void;
  /** Its clients are told that what they watch was updated. */
  restock(): void;
  /** What its legacy clients watch. */
  watched(): readonly string[];
  stop(): Promise<void>;
}

/** How an upstream can be reached. */
export type ShopKind = 'http legacy' | 'http modern' | 'sse' | 'stdio legacy' | 'stdio modern';
export const SHOP_KINDS: readonly ShopKind[] = ['http legacy', 'http modern', 'sse', 'stdio legacy', 'stdio modern'];

function shopUpstream(slug: string, transport: Transport, changes: Partial<Upstream> = {}): Upstream {
  return upstreamOf(transport, { id: `id-${slug}` as UpstreamId, slug, ...changes });
}

/** Starts one, or, over stdio, tells how to. */
export async function openShop(slug: string, kind: ShopKind, changes: Partial<Upstream> = {}): Promise<Shop> {
  switch (kind) {
    case 'http legacy':
      return legacyShop(slug, changes);
    case 'http modern':
      return modernShop(slug, changes);
    case 'sse':
      return sseShop(slug, changes);
    default: {
      const args = [SHOP_PROGRAM, slug, kind === 'stdio legacy' ? 'legacy' : 'modern'];
      const stdio = { kind: 'stdio', command: process.execPath, args, sharing: 'per_principal' } as const;
      const upstream = shopUpstream(slug, { ...stdio, maxProcesses: 4, idleTimeoutMs: 60_000 }, changes);
      return { upstream, addTool: () => {}, restock: () => {}, watched: () => [], stop: async () => {} };
    }
  }
}

/** Instances that are connected, and what they have besides. */
function createStaff(slug: string) {
  const instances = new Set<McpServer>();
  const extra: string[] = [];
  const restock = () => {
    for (const mcp of instances) tellWatched(mcp);
  };
  return {
    restock,
    watched: () => [...instances].flatMap((mcp) => [...(watchedBy.get(mcp) ?? [])]),
    make(): McpServer {
      const mcp = createShop(slug, extra, restock);
      instances.add(mcp);
      // The SDK has no other way to hear of it.
      // oxlint-disable-next-line unicorn/prefer-add-event-listener
      mcp.server.onclose = () => void instances.delete(mcp);
      return mcp;
    },
    addTool(tool: string): void {
      extra.push(tool);
      for (const mcp of instances) addTool(mcp, tool);
    },
    extra,
  };
}

async function legacyShop(slug: string, changes: Partial<Upstream>): Promise<Shop> {
  const staff = createStaff(slug);
  const sessions = createLegacySessions(staff.make);
  const server = await serveHttp((request, response) => {
    void bodyOf(request).then((body) => sessions.handle(request, response, body));
  });
  const stop = async () => {
    await sessions.close();
    await server.stop();
  };
  return { ...staff, upstream: shopUpstream(slug, { kind: 'streamable_http', url: server.url }, changes), stop };
}

async function modernShop(slug: string, changes: Partial<Upstream>): Promise<Shop> {
  const extra: string[] = [];
  const restock = () => {
    for (const uri of [stockOf(slug), COMMON]) handler.notify.resourceUpdated(uri);
  };
  const handler = createMcpHandler(() => createShop(slug, extra, restock), { legacy: 'reject' });
  const handle = toNodeHandler(handler);
  const server = await serveHttp((request, response) => {
    void bodyOf(request).then((body) => handle(request as Parameters<typeof handle>[0], response, body));
  });
  return {
    upstream: shopUpstream(slug, { kind: 'streamable_http', url: server.url }, changes),
    restock,
    watched: () => [],
    addTool(tool) {
      extra.push(tool);
      handler.notify.toolsChanged();
    },
    stop: async () => {
      await handler.close();
      await server.stop();
    },
  };
}

async function sseShop(slug: string, changes: Partial<Upstream>): Promise<Shop> {
  const staff = createStaff(slug);
  const transports = new Map<string, SSEServerTransport>();
  const answer = async (request: IncomingMessage, response: ServerResponse) => {
    if (request.method === 'GET') {
      const transport = new SSEServerTransport('/messages', response);
      transports.set(transport.sessionId, transport);
      await staff.make().connect(transport);
      return;
    }
    const id = new URL(request.url ?? '', 'http://localhost').searchParams.get('sessionId') ?? '';
    await transports.get(id)?.handlePostMessage(request, response);
  };
  const server = await serveHttp((request, response) => {
    // A stream that was closed before its message came is no fault of the test.
    answer(request, response).catch(() => response.destroy());
  });
  const upstream = shopUpstream(slug, { kind: 'sse', url: server.url, sharing: 'per_principal' }, changes);
  return { ...staff, upstream, stop: server.stop };
}

async function bodyOf(request: IncomingMessage): Promise<unknown> {
  return request.method === 'POST' ? json(request) : undefined;
}

/** A gateway of these upstreams, each as its entry says. */
export function gatewayOf(
  slug: string,
  entries: readonly (Partial<GatewayUpstream> & { readonly slug: string })[],
  changes: Partial<Gateway> = {},
): Gateway {
  return {
    id: `id-${slug}` as GatewayId,
    projectId: 'project-1' as ProjectId,
    slug,
    version: 'v1',
    displayName: '',
    description: '',
    commonOverrides: {},
    upstreams: entries.map((entry) => ({ version: 'v1', tools: {}, ...entry })),
    discoveryMode: 'list',
    revision: 1,
    createTime: 0,
    updateTime: 0,
    ...changes,
  };
}
