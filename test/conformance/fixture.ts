import { randomBytes } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import {
  localhostHostValidation,
  localhostOriginValidation,
  type NodeMcpRequestHandler,
  toNodeHandler,
} from '@modelcontextprotocol/node';
import { classifyInboundRequest, createMcpHandler, createRequestStateCodec } from '@modelcontextprotocol/server';
import type { RoundState } from './fixture/input-required-tools.ts';
import { createLegacySessions, type LegacySessions, refuse } from './fixture/legacy-sessions.ts';
import { createFixtureServer } from './fixture/mcp-server.ts';
import { createTaskTable } from './fixture/task-table.ts';

/** A running fixture: `url` is its MCP endpoint on 127.0.0.1; `close` ends every session and stream. */
export interface Fixture {
  url: string;
  close(): Promise<void>;
}

// Only a response lacks these two, and IncomingMessage is also the type of responses.
type ReceivedRequest = IncomingMessage & { method: string; url: string };

/**
 * Starts the MCP server that the official conformance suite asks for, serving both eras on one streamable HTTP
 * endpoint: sessions with resumable streams up to 2025-11-25, stateless requests from 2026-07-28.
 */
export async function startFixture(options: { port?: number } = {}): Promise<Fixture> {
  const states = createRequestStateCodec<RoundState>({ key: randomBytes(32) });
  const sessions = createLegacySessions(() => createFixtureServer({ states }));
  const tasks = createTaskTable();
  const modern = createMcpHandler(() => createFixtureServer({ states, modern: { announce: modern.notify, tasks } }), {
    legacy: 'reject',
  });
  const endpoint = createEndpoint(sessions, toNodeHandler(modern));

  const server = createServer((req, res) => {
    endpoint(req as ReceivedRequest, res).catch((error: unknown) => {
      console.error('The fixture failed to answer:', error);
      if (!res.headersSent) refuse(res, 500, 'The fixture failed');
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject).listen(options.port ?? 0, '127.0.0.1', resolve);
  });
  return {
    // listen() on a TCP port makes this an AddressInfo.
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/mcp`,
    async close() {
      tasks.close();
      await Promise.all([sessions.close(), modern.close()]);
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function createEndpoint(sessions: LegacySessions, modern: NodeMcpRequestHandler) {
  const isHostAllowed = localhostHostValidation();
  const isOriginAllowed = localhostOriginValidation();
  return async (req: ReceivedRequest, res: ServerResponse): Promise<void> => {
    if (!isHostAllowed(req, res) || !isOriginAllowed(req, res)) return;
    if (req.url !== '/mcp') return refuse(res, 404, 'The endpoint is /mcp');
    const body = await readBody(req);
    if (body === INVALID) return refuse(res, 400, 'The body is not JSON');
    await (isLegacy(req, body) ? sessions.handle(req, res, body) : modern(req, res, body));
  };
}

const INVALID = Symbol('invalid');

async function readBody(req: IncomingMessage): Promise<unknown> {
  if (req.method !== 'POST') return undefined;
  try {
    return JSON.parse(await text(req));
  } catch {
    return INVALID;
  }
}

function isLegacy(req: ReceivedRequest, body: unknown): boolean {
  const version = req.headers['mcp-protocol-version'];
  const method = req.headers['mcp-method'];
  return (
    classifyInboundRequest({
      httpMethod: req.method,
      body,
      ...(typeof version === 'string' ? { protocolVersionHeader: version } : {}),
      ...(typeof method === 'string' ? { mcpMethodHeader: method } : {}),
    }).kind === 'legacy'
  );
}

if (import.meta.main) {
  const fixture = await startFixture({ port: Number(process.env.PORT ?? 0) });
  console.log(fixture.url);
}
