import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { json } from 'node:stream/consumers';

type Json = Record<string, unknown>;

/** A streamable HTTP upstream in this process, of either era and without sessions, that keeps what it was asked. */
export interface RecordingUpstream {
  readonly url: string;
  /** The `params` of every `tools/call` that arrived, in order of arrival. */
  readonly calls: readonly Json[];
  /** Methods whose requests are never answered, `*` for all; empty at first. */
  readonly silent: Set<string>;
  stop(): Promise<void>;
}

const TOOLS = ['look', 'touch', 'break'].map((name) => ({ name, inputSchema: { type: 'object' } }));
const COMPLETE = { resultType: 'complete' };

/** Starts one on a free loopback port; its tools, by default `look`, `touch` and `break`, answer with their name. */
export async function startRecordingUpstream(tools: readonly Json[] = TOOLS): Promise<RecordingUpstream> {
  const calls: Json[] = [];
  const silent = new Set<string>();
  const server = createServer((request, response) => {
    if (request.method !== 'POST') {
      response.writeHead(405).end();
      return;
    }
    void json(request).then((message) => {
      const { id, method, params } = message as { id?: unknown; method: string; params?: Json };
      if (method === 'tools/call') {
        calls.push(params ?? {});
      }
      const result = method === 'tools/list' ? listOf(tools) : resultOf(method, params ?? {});
      if (id === undefined) {
        response.writeHead(202).end();
      } else if (!silent.has(method) && !silent.has('*')) {
        const answer = result ? { result } : { error: { code: -32601, message: 'Method not found' } };
        response.writeHead(result ? 200 : 404, { 'content-type': 'application/json' });
        response.end(JSON.stringify({ jsonrpc: '2.0', id, ...answer }));
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    // listen() on a TCP port makes this an AddressInfo.
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/mcp`,
    calls,
    silent,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function listOf(tools: readonly Json[]): Json {
  return { ...COMPLETE, tools, ttlMs: 0, cacheScope: 'private' };
}

function resultOf(method: string, params: Json): Json | undefined {
  const serverInfo = { name: 'recording', version: '1' };
  switch (method) {
    case 'initialize':
      return { protocolVersion: params['protocolVersion'], capabilities: { tools: {} }, serverInfo };
    case 'server/discover':
      return {
        ...COMPLETE,
        supportedVersions: ['2026-07-28'],
        capabilities: { tools: {} },
        ttlMs: 0,
        cacheScope: 'private',
        _meta: { 'io.modelcontextprotocol/serverInfo': serverInfo },
      };
    case 'tools/call':
      return { ...COMPLETE, content: [{ type: 'text', text: String(params['name']) }] };
    default:
      return undefined;
  }
}
