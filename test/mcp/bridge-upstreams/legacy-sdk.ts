/** An upstream written with the official SDK 1.x, which speaks the legacy era only: over HTTP in this process or, run as a program, over stdio. */
import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { fileURLToPath } from 'node:url';
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import { StdioServerTransport } from '@modelcontextprotocol/sdk/server/stdio.js';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import type { RequestHandlerExtra } from '@modelcontextprotocol/sdk/shared/protocol.js';
import {
  type CallToolResult,
  CreateMessageResultSchema,
  ElicitResultSchema,
  ListRootsResultSchema,
  McpError,
  type ServerNotification,
  type ServerRequest,
  UrlElicitationRequiredError,
} from '@modelcontextprotocol/sdk/types.js';
import { type Listening, serveHttp } from '../../upstream/fixtures.ts';
import { LOG_LEVELS, NAME_FORM, SAMPLING } from './asked.ts';

let cancelled = 0;
const text = (value: unknown): CallToolResult => ({ content: [{ type: 'text', text: JSON.stringify(value) }] });

function createServer(): McpServer {
  const server = new McpServer({ name: 'legacy', version: '1' }, { capabilities: { logging: {} } });
  const tool = (name: string, run: (extra: Extra) => Promise<CallToolResult>) => server.registerTool(name, {}, run);
  const elicit = { method: 'elicitation/create' as const, params: NAME_FORM };
  const page = { mode: 'url' as const, message: 'Sign in', url: 'https://example.com/sign-in' };

  tool('ask_name', async (extra) => text(await request(extra, elicit, ElicitResultSchema)));
  tool('ask_page', async (extra) => {
    const params = { ...page, elicitationId: randomUUID() };
    return text(await request(extra, { method: 'elicitation/create', params }, ElicitResultSchema));
  });
  tool('sample', async (extra) =>
    text(await request(extra, { method: 'sampling/createMessage', params: SAMPLING }, CreateMessageResultSchema)),
  );
  tool('roots', async (extra) => text(await request(extra, { method: 'roots/list' }, ListRootsResultSchema)));
  tool('ask_both', async (extra) =>
    text(
      await Promise.all([
        request(extra, elicit, ElicitResultSchema),
        request(extra, { method: 'roots/list' }, ListRootsResultSchema),
      ]),
    ),
  );
  tool('ask_twice', async (extra) => {
    const first = await request(extra, elicit, ElicitResultSchema);
    return text([first, await request(extra, elicit, ElicitResultSchema)]);
  });
  tool('need_page', async () => {
    throw new UrlElicitationRequiredError([{ ...page, elicitationId: 'page-1' }]);
  });
  tool('log', async (extra) => {
    for (const level of LOG_LEVELS) {
      await extra.sendNotification({ method: 'notifications/message', params: { level, data: level } });
    }
    return text('logged');
  });
  tool('progress', async (extra) => {
    const progressToken = extra._meta?.progressToken;
    for (const progress of [1, 2, 3]) {
      if (progressToken === undefined) continue;
      await extra.sendNotification({ method: 'notifications/progress', params: { progressToken, progress, total: 3 } });
    }
    return text('done');
  });
  const hang = async (extra: Extra) => {
    const progressToken = extra._meta?.progressToken ?? '';
    await extra.sendNotification({ method: 'notifications/progress', params: { progressToken, progress: 1 } });
    await new Promise<void>((resolve) => extra.signal.addEventListener('abort', () => resolve(), { once: true }));
    cancelled++;
    return text('never read');
  };
  tool('hang', hang);
  tool('ask_and_hang', async (extra) => {
    await request(extra, { method: 'roots/list' }, ListRootsResultSchema);
    return hang(extra);
  });
  tool('cancelled', async () => text(cancelled));
  tool('fail', async () => ({ ...text('it broke'), isError: true }));
  tool('structured', async () => ({ ...text('see'), structuredContent: { n: 1 } }));
  tool('die', async () => process.exit(1));
  server.registerResource('note', 'note://1', {}, async (uri) => ({ contents: [{ uri: uri.href, text: 'a note' }] }));
  server.registerResource('gone', 'note://2', {}, async () => {
    throw new McpError(-32002, 'Resource not found');
  });
  server.registerPrompt('greet', {}, async () => ({
    messages: [{ role: 'user', content: { type: 'text', text: 'hi' } }],
  }));
  return server;
}

type Extra = RequestHandlerExtra<ServerRequest, ServerNotification>;

/** Asks the client on the stream of the call. */
function request(extra: Extra, asked: ServerRequest, schema: Parameters<Extra['sendRequest']>[1]): Promise<unknown> {
  return extra.sendRequest(asked, schema);
}

/** Serves streamable HTTP with sessions on loopback. */
export async function serveLegacySdk(): Promise<Listening> {
  const transports = new Map<string, StreamableHTTPServerTransport>();
  const handle = async (message: IncomingMessage, response: ServerResponse) => {
    let transport = transports.get(String(message.headers['mcp-session-id']));
    if (transport === undefined) {
      const created = new StreamableHTTPServerTransport({
        sessionIdGenerator: randomUUID,
        onsessioninitialized: (id) => void transports.set(id, created),
      });
      await createServer().connect(created);
      transport = created;
    }
    await transport.handleRequest(message, response);
  };
  return serveHttp((message, response) => void handle(message, response));
}

/** This file, to be run with Node. */
export const LEGACY_SDK_PROGRAM = fileURLToPath(import.meta.url);

if (process.argv[1] === LEGACY_SDK_PROGRAM) {
  await createServer().connect(new StdioServerTransport());
}
