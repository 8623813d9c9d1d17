/** An upstream written with the official SDK 2.x that talks while it works: over HTTP in both eras, in this process or as a program, or as a program over stdio. */
import type { IncomingMessage } from 'node:http';
import { text } from 'node:stream/consumers';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { toNodeHandler } from '@modelcontextprotocol/node';
import {
  createMcpHandler,
  fromJsonSchema,
  inputRequired,
  inputResponse,
  McpServer,
  type ServerContext,
} from '@modelcontextprotocol/server';
import { serveStdio } from '@modelcontextprotocol/server/stdio';
import { elicit } from '../conformance/fixture/input-tools.ts';
import { createLegacySessions } from '../conformance/fixture/legacy-sessions.ts';
import { textContent } from '../conformance/fixture/samples.ts';
import { requiredTexts } from '../conformance/fixture/text-schema.ts';
import { serveHttp } from '../upstream/fixtures.ts';

/** One that is reached over HTTP; which URL is used says which era it speaks. */
export interface ChattyUpstream {
  /** Sessions, up to revision 2025-11-25. */
  readonly legacyUrl: string;
  /** Revision 2026-07-28 only. */
  readonly modernUrl: string;
  stop(): Promise<void>;
}

/** Its tools, sorted; over stdio it also has `die`, which ends its process. */
export const CHATTY_TOOLS = ['ask', 'plain', 'report', 'slow'];
export const CHATTY_RESOURCE = 'chatty://note';

/** This file, to be run with Node: over stdio, or with `--port N` over HTTP, where `--extra NAME` gives it one more tool. */
export const CHATTY_PROGRAM = fileURLToPath(import.meta.url);

/** Longer than a client needs to take one message in, so that the SDKs do not get an answer together with what came before it. */
const PAUSE_MS = 10;

/** `extra` names a tool that it has besides. */
function createServer(extra?: string): McpServer {
  const server = new McpServer({ name: 'chatty', version: '1.0.0' });
  server.registerTool('plain', { inputSchema: requiredTexts('text') }, async ({ text }) =>
    textContent(`plain: ${text}`),
  );
  server.registerTool('report', { inputSchema: requiredTexts('text') }, report);
  server.registerTool('ask', { inputSchema: requiredTexts('text') }, ask);
  server.registerTool('slow', { inputSchema: SLOW }, slow);
  if (extra !== undefined) {
    server.registerTool(extra, {}, async () => {
      if (extra === 'die') process.kill(process.pid, 'SIGKILL');
      return textContent(extra);
    });
  }
  server.registerPrompt('greet', { argsSchema: requiredTexts('name') }, async ({ name }) => ({
    messages: [{ role: 'user', content: { type: 'text', text: `Greet ${name}.` } }],
  }));
  server.registerResource('note', CHATTY_RESOURCE, {}, async (uri) => ({
    contents: [{ uri: uri.href, text: 'A note.' }],
  }));
  return server;
}

const SLOW = fromJsonSchema<{ text: string; ms: number }>({
  type: 'object',
  properties: { text: { type: 'string' }, ms: { type: 'integer' } },
  required: ['text', 'ms'],
});

async function report({ text }: { text: string }, ctx: ServerContext) {
  for (const progress of [1, 2, 3]) {
    await reportProgress(ctx, progress, `${text} ${progress}`);
    await delay(PAUSE_MS);
  }
  return textContent(`report: ${text}`);
}

/** Says that it has begun. */
async function slow({ text, ms }: { text: string; ms: number }, ctx: ServerContext) {
  await reportProgress(ctx, 1, `${text} begins`);
  await delay(ms, undefined, { signal: ctx.mcpReq.signal });
  return textContent(`slow: ${text}`);
}

async function reportProgress(ctx: ServerContext, progress: number, message: string): Promise<void> {
  const progressToken = ctx.mcpReq._meta?.progressToken;
  // Without a token there is nobody to report to (basic/utilities/progress).
  if (progressToken !== undefined) {
    await ctx.mcpReq.notify({ method: 'notifications/progress', params: { progressToken, progress, message } });
  }
}

/** The SDK makes a real request of it for legacy clients. */
async function ask({ text }: { text: string }, ctx: ServerContext) {
  const response = inputResponse(ctx.mcpReq.inputResponses, 'answer');
  if (response.kind !== 'elicit') {
    return inputRequired({ inputRequests: { answer: elicit(text, { answer: { type: 'string' } }, ['answer']) } });
  }
  const answer = response.action === 'accept' ? String(response.content?.['answer']) : response.action;
  return textContent(`ask: ${text}: ${answer}`);
}

/** Serves both eras on loopback; without a port on a free one. */
export async function serveChatty({
  port = 0,
  extra,
}: {
  port?: number;
  extra?: string | undefined;
} = {}): Promise<ChattyUpstream> {
  const sessions = createLegacySessions(() => createServer(extra));
  const modern = createMcpHandler(() => createServer(extra), { legacy: 'reject' });
  const handleModern = toNodeHandler(modern);
  const server = await serveHttp((request, response) => {
    if (request.url === '/modern') {
      // Only a response lacks method and URL, and IncomingMessage is also the type of responses.
      void handleModern(request as Parameters<typeof handleModern>[0], response);
    } else {
      void bodyOf(request).then((body) => sessions.handle(request, response, body));
    }
  }, port);
  const origin = new URL(server.url).origin;
  return {
    legacyUrl: `${origin}/legacy`,
    modernUrl: `${origin}/modern`,
    async stop() {
      await Promise.all([sessions.close(), modern.close()]);
      await server.stop();
    },
  };
}

async function bodyOf(request: IncomingMessage): Promise<unknown> {
  const body = await text(request);
  return body === '' ? undefined : JSON.parse(body);
}

if (process.argv[1] === CHATTY_PROGRAM) {
  const { port, extra } = parseArgs({ options: { port: { type: 'string' }, extra: { type: 'string' } } }).values;
  if (port === undefined) {
    serveStdio(() => createServer('die'));
  } else {
    await serveChatty({ port: Number(port), extra });
  }
}
