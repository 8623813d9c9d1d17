/** An upstream written with the official SDK 2.x, here for the modern era: over HTTP in this process or, run as a program, over stdio. */
import { fileURLToPath } from 'node:url';
import { toNodeHandler } from '@modelcontextprotocol/node';
import {
  type CallToolResult,
  createMcpHandler,
  type InputRequests,
  inputRequired,
  McpServer,
  ProtocolError,
  type ServerContext,
} from '@modelcontextprotocol/server';
import { serveStdio } from '@modelcontextprotocol/server/stdio';
import { type Listening, serveHttp } from '../../upstream/fixtures.ts';
import { LOG_LEVELS, NAME_FORM, SAMPLING } from './asked.ts';

let cancelled = 0;
const text = (value: unknown): CallToolResult => ({ content: [{ type: 'text', text: JSON.stringify(value) }] });

function createServer(): McpServer {
  const server = new McpServer({ name: 'modern', version: '1' }, { capabilities: { logging: {} } });
  const tool = (
    name: string,
    run: (ctx: ServerContext) => Promise<CallToolResult | ReturnType<typeof inputRequired>>,
  ) => server.registerTool(name, {}, run);
  const { message, requestedSchema } = NAME_FORM;
  const name = inputRequired.elicit({ message, requestedSchema });

  tool('ask_name', async (ctx) => once(ctx, { only: name }));
  tool('ask_page', async (ctx) =>
    once(ctx, { only: inputRequired.elicitUrl({ message: 'Sign in', url: 'https://example.com/sign-in' }) }),
  );
  tool('sample', async (ctx) => once(ctx, { only: inputRequired.createMessage(SAMPLING) }));
  tool('roots', async (ctx) => once(ctx, { only: inputRequired.listRoots() }));
  tool('ask_both', async (ctx) => once(ctx, { a: name, b: inputRequired.listRoots() }));
  tool('ask_twice', async (ctx) => {
    const { inputResponses } = ctx.mcpReq;
    const before = ctx.mcpReq.requestState<string>();
    if (inputResponses === undefined) return inputRequired({ inputRequests: { only: name }, requestState: '' });
    const now = inputResponses['only'];
    return before === '' || before === undefined
      ? inputRequired({ inputRequests: { only: name }, requestState: JSON.stringify(now) })
      : text([JSON.parse(before), now]);
  });
  tool('log', async (ctx) => {
    for (const level of LOG_LEVELS) await ctx.mcpReq.log(level, level);
    return text('logged');
  });
  tool('progress', async (ctx) => {
    const progressToken = ctx.mcpReq._meta?.progressToken;
    for (const progress of [1, 2, 3]) {
      if (progressToken === undefined) continue;
      await ctx.mcpReq.notify({ method: 'notifications/progress', params: { progressToken, progress, total: 3 } });
    }
    return text('done');
  });
  tool('hang', async (ctx) => {
    const progressToken = ctx.mcpReq._meta?.progressToken ?? '';
    await ctx.mcpReq.notify({ method: 'notifications/progress', params: { progressToken, progress: 1 } });
    await new Promise<void>((resolve) => ctx.mcpReq.signal.addEventListener('abort', () => resolve(), { once: true }));
    cancelled++;
    return text('never read');
  });
  tool('cancelled', async () => text(cancelled));
  tool('fail', async () => ({ ...text('it broke'), isError: true }));
  tool('structured', async () => ({ ...text('see'), structuredContent: { n: 1 } }));
  tool('die', async () => process.exit(1));
  server.registerResource('note', 'note://1', {}, async (uri) => ({ contents: [{ uri: uri.href, text: 'a note' }] }));
  server.registerResource('gone', 'note://2', {}, async () => {
    throw new ProtocolError(-32602, 'Resource not found');
  });
  server.registerPrompt('greet', {}, async () => ({
    messages: [{ role: 'user', content: { type: 'text', text: 'hi' } }],
  }));
  return server;
}

/** Asks in one round; the answers are the result. */
function once(ctx: ServerContext, inputRequests: InputRequests) {
  const { inputResponses } = ctx.mcpReq;
  if (inputResponses === undefined) return inputRequired({ inputRequests });
  const answers = Object.keys(inputRequests).map((key) => inputResponses[key]);
  return text(answers.length === 1 ? answers[0] : answers);
}

/** Serves streamable HTTP on loopback. */
export function serveModernSdk(): Promise<Listening> {
  const handle = toNodeHandler(createMcpHandler(createServer));
  return serveHttp((request, response) => void handle(request as Parameters<typeof handle>[0], response));
}

/** This file, to be run with Node. */
export const MODERN_SDK_PROGRAM = fileURLToPath(import.meta.url);

if (process.argv[1] === MODERN_SDK_PROGRAM) {
  serveStdio(createServer);
}
