import { randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/**
 * The MCP upstream of all measurements: as little as an upstream can do, so that the thing in front of it is what is measured.
 * `/legacy` speaks sessions (revisions up to 2025-11-25), `/modern` speaks 2026-07-28, `/modern?tools=50` lists that many tools,
 * `GET /counts` tells what arrived.
 * Prints `PORT <number>` when it listens, and ends when its standard input ends.
 */
interface Message {
  readonly id?: string | number;
  readonly method?: string;
}

const counts = { initializes: 0, calls: 0, lists: 0, discovers: 0, streams: 0, sessionsOpen: 0 };
const sessions = new Set<string>();

const toolCallResult =
  '"result":{"content":[{"type":"text","text":"The forecast for Lisbon is sunny, 24 degrees, wind 12 km/h."}]';
const words = [
  'create',
  'list',
  'update',
  'delete',
  'search',
  'issue',
  'file',
  'message',
  'calendar',
  'invoice',
  'forecast',
];

/** The JSON of a list of tools, the first of which is `echo`. */
function toolList(count: number): string {
  const tools = Array.from({ length: count }, (_, i) => ({
    name: i === 0 ? 'echo' : `${words[i % words.length]}_${words[(i * 7 + 3) % words.length]}_${i}`,
    description: `Answers a fixed text about ${words[(i * 5) % words.length]} number ${i}, for people who ask for it.`,
    inputSchema: {
      type: 'object',
      properties: { text: { type: 'string', description: 'Anything.' }, [`option_${i}`]: { type: 'integer' } },
    },
  }));
  return JSON.stringify(tools);
}

const toolLists = new Map<string, string>();

/** The list that the query of the endpoint asks for. */
function toolsOf(url: string): string {
  let tools = toolLists.get(url);
  if (tools === undefined) {
    tools = toolList(Number(/[?&]tools=([0-9]+)/.exec(url)?.[1] ?? 1));
    toolLists.set(url, tools);
  }
  return tools;
}
const serverInfo = '{"name":"bench-upstream","version":"1.0.0"}';

function answer(response: ServerResponse, status: number, body: string, headers: readonly string[] = []): void {
  const length = String(Buffer.byteLength(body));
  response.writeHead(status, ['Content-Type', 'application/json', 'Content-Length', length, ...headers]);
  response.end(body);
}

function answerError(response: ServerResponse, status: number, id: unknown, code: number, message: string): void {
  answer(response, status, JSON.stringify({ jsonrpc: '2.0', id: id ?? null, error: { code, message } }));
}

/** The result of a method both eras have, without the closing brace; undefined when the upstream does not know the method. */
function findResult(method: string, url: string): string | undefined {
  switch (method) {
    case 'tools/call':
      counts.calls += 1;
      return toolCallResult;
    case 'tools/list':
      counts.lists += 1;
      return `"result":{"tools":${toolsOf(url)}`;
    case 'ping':
      return '"result":{"_meta":{}';
    default:
      return undefined;
  }
}

function initialize(response: ServerResponse, id: unknown): void {
  counts.initializes += 1;
  const session = randomUUID();
  sessions.add(session);
  counts.sessionsOpen = sessions.size;
  const result = `{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":${serverInfo}}`;
  answer(response, 200, `{"jsonrpc":"2.0","id":${JSON.stringify(id)},"result":${result}}`, ['Mcp-Session-Id', session]);
}

function answerLegacy(request: IncomingMessage, response: ServerResponse, message: Message): void {
  const { id, method = '' } = message;
  if (method === 'initialize') return initialize(response, id);
  const session = request.headers['mcp-session-id'];
  if (typeof session !== 'string') return answerError(response, 400, id, -32600, 'Mcp-Session-Id is missing');
  if (!sessions.has(session)) return answerError(response, 404, id, -32600, 'unknown session');
  if (id === undefined) {
    response.writeHead(202, ['Content-Length', '0']).end();
    return;
  }
  const result = findResult(method, '/legacy');
  if (result === undefined) return answerError(response, 200, id, -32601, `unknown method ${method}`);
  answer(response, 200, `{"jsonrpc":"2.0","id":${JSON.stringify(id)},${result}}}`);
}

function answerModern(response: ServerResponse, message: Message, url: string): void {
  const { id, method = '' } = message;
  let result = findResult(method, url);
  if (method === 'server/discover') {
    counts.discovers += 1;
    result = `"result":{"supportedVersions":["2026-07-28"],"capabilities":{"tools":{}},"_meta":{"io.modelcontextprotocol/serverInfo":${serverInfo}}`;
  }
  if (result === undefined) return answerError(response, 404, id, -32601, `unknown method ${method}`);
  const caching = method === 'tools/call' ? '' : ',"ttlMs":60000,"cacheScope":"public"';
  answer(response, 200, `{"jsonrpc":"2.0","id":${JSON.stringify(id)},${result},"resultType":"complete"${caching}}}`);
}

function openStream(response: ServerResponse): void {
  counts.streams += 1;
  response.writeHead(200, ['Content-Type', 'text/event-stream', 'Cache-Control', 'no-cache']);
  response.write(': open\n\n');
  response.on('close', () => {
    counts.streams -= 1;
  });
}

function endSession(request: IncomingMessage, response: ServerResponse): void {
  sessions.delete(String(request.headers['mcp-session-id']));
  counts.sessionsOpen = sessions.size;
  response.writeHead(200, ['Content-Length', '0']).end();
}

function answerPost(request: IncomingMessage, response: ServerResponse): void {
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => chunks.push(chunk));
  request.on('end', () => {
    const body = chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks);
    const message = JSON.parse(body.toString()) as Message;
    if (request.url?.startsWith('/modern') === true) answerModern(response, message, request.url);
    else answerLegacy(request, response, message);
  });
}

const server = createServer({ keepAliveTimeout: 120_000, requestTimeout: 0 }, (request, response) => {
  if (request.method === 'POST') return answerPost(request, response);
  if (request.method === 'DELETE') return endSession(request, response);
  if (request.url === '/counts') return answer(response, 200, JSON.stringify(counts));
  if (request.url === '/legacy') return openStream(response);
  response.writeHead(405, ['Content-Length', '0']).end();
});

server.listen(0, '127.0.0.1', () => {
  process.stdout.write(`PORT ${(server.address() as AddressInfo).port}\n`);
});
process.stdin.resume().on('end', () => process.exit(0));
