import type { IncomingHttpHeaders, ServerResponse } from 'node:http';
import type { UpstreamId } from '../../src/domain/ids.ts';
import type { Upstream } from '../../src/domain/upstream.ts';
import { serveTexts, upstreamOf } from '../upstream/fixtures.ts';
import { cleanUpLater } from './mall.ts';
import type { Json } from './mcp-client.ts';

/** A governed request as it arrived. */
export interface Arrived {
  readonly text: string;
  readonly headers: IncomingHttpHeaders;
}

/** A modern upstream over HTTP that is written by hand: with these tools, and an answer that repeats nothing. */
export interface HandShop {
  readonly upstream: Upstream;
  readonly calls: readonly Arrived[];
  /** Methods that are not answered from now on. */
  readonly silent: Set<string>;
}

const CALLS = ['tools/call', 'prompts/get', 'resources/read'];

/** Starts one; it is stopped after the test. */
export async function handShop(
  slug: string,
  tools: readonly Json[],
  changes: Partial<Upstream> = {},
): Promise<HandShop> {
  const calls: Arrived[] = [];
  const silent = new Set<string>();
  const server = await serveTexts((request, text, response) => {
    const message = JSON.parse(text) as Json & { id: unknown; method: string };
    if (CALLS.includes(message.method)) calls.push({ text, headers: request.headers });
    if (!silent.has(message.method)) answer(response, message.id, resultOf(message.method, tools));
  });
  cleanUpLater(server.stop);
  const transport = { kind: 'streamable_http', url: server.url } as const;
  const upstream = upstreamOf(transport, { id: `id-${slug}` as UpstreamId, slug, era: 'modern', ...changes });
  return { upstream, calls, silent };
}

function resultOf(method: string, tools: readonly Json[]): Json {
  switch (method) {
    case 'server/discover':
      return { supportedVersions: ['2026-07-28'], capabilities: { tools: {} } };
    case 'tools/list':
      return { tools };
    default:
      return { content: [{ type: 'text', text: 'done' }] };
  }
}

function answer(response: ServerResponse, id: unknown, result: Json): void {
  response.writeHead(200, { 'content-type': 'application/json' });
  response.end(
    JSON.stringify({
      jsonrpc: '2.0',
      id,
      result: { resultType: 'complete', ttlMs: 0, cacheScope: 'public', ...result },
    }),
  );
}
