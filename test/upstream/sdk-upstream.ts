/** An upstream written with the official SDK 2.x: both eras, over HTTP in this process or, run as a program, over stdio. */
import { fileURLToPath } from 'node:url';
import { toNodeHandler } from '@modelcontextprotocol/node';
import { createMcpHandler, fromJsonSchema, McpServer } from '@modelcontextprotocol/server';
import { serveStdio } from '@modelcontextprotocol/server/stdio';
import { type Listening, serveHttp } from './fixtures.ts';

const REGION = { type: 'string' as const, 'x-mcp-header': 'Region' };

function createServer(): McpServer {
  const server = new McpServer({ name: 'sdk fixture', version: '2.0.0' });
  server.registerTool(
    'echo',
    { inputSchema: fromJsonSchema<{ text: string }>({ type: 'object', properties: { text: { type: 'string' } } }) },
    async ({ text }) => ({ content: [{ type: 'text', text }] }),
  );
  server.registerTool(
    'regional',
    { inputSchema: fromJsonSchema<{ region: string }>({ type: 'object', properties: { region: REGION } }) },
    async ({ region }) => ({ content: [{ type: 'text', text: `region ${region}` }] }),
  );
  return server;
}

/** Serves streamable HTTP on loopback; `onRequest` sees each request's headers first. */
export function serveSdk(
  options: Parameters<typeof createMcpHandler>[1] = {},
  onRequest: (headers: Record<string, unknown>) => void = () => undefined,
): Promise<Listening> {
  const handle = toNodeHandler(createMcpHandler(createServer, options));
  return serveHttp((request, response) => {
    onRequest(request.headers);
    void handle(request as Parameters<typeof handle>[0], response);
  });
}

/** This file, to be run with Node; `--reject` refuses legacy clients. */
export const SDK_STDIO_PROGRAM = fileURLToPath(import.meta.url);

if (process.argv[1] === SDK_STDIO_PROGRAM) {
  serveStdio(createServer, { legacy: process.argv.includes('--reject') ? 'reject' : 'serve' });
}
