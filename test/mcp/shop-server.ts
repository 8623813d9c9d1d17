/** A small MCP server for tests, one instance a conversation; run as a program it speaks over stdio: `node shop-server.ts NAME legacy|modern`. */
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import {
  completable,
  fromJsonSchema,
  inputRequired,
  McpServer,
  ResourceTemplate,
  type ServerContext,
} from '@modelcontextprotocol/server';
import { StdioServerTransport, serveStdio } from '@modelcontextprotocol/server/stdio';
import { z } from 'zod';

const text = (words: string) => ({ content: [{ type: 'text' as const, text: words }] });

/** The stock of the shop of this name, which can be watched. */
export function stockOf(name: string): string {
  return `shop://${name}/stock`;
}

/** What every shop has. */
export const COMMON = 'shop://common';

/** Makes an instance; `extraTools` are offered besides. `onStock` is told when the tool `restock` was called. */
export function createShop(name: string, extraTools: readonly string[], onStock: (mcp: McpServer) => void): McpServer {
  const mcp = new McpServer(
    { name: `shop ${name}`, version: '1.0.0' },
    {
      capabilities: {
        tools: { listChanged: true },
        prompts: { listChanged: true },
        resources: { subscribe: true, listChanged: true },
        completions: {},
        logging: {},
      },
      instructions: `This is ${name}.`,
    },
  );
  addTools(mcp, name, onStock);
  for (const tool of extraTools) addTool(mcp, tool);
  addResources(mcp, name);
  mcp.registerPrompt(
    'greet',
    { description: 'Greets', argsSchema: z.object({ who: completable(z.string(), completeWho) }) },
    ({ who }) => ({ messages: [{ role: 'user', content: { type: 'text', text: `${name} greets ${who}` } }] }),
  );
  mcp.server.setNotificationHandler('notifications/roots/list_changed', () => void said.set(mcp, 'roots changed'));
  const watched = new Set<string>();
  watchedBy.set(mcp, watched);
  mcp.server.setRequestHandler('resources/subscribe', async ({ params }) => {
    watched.add(params.uri);
    return {};
  });
  mcp.server.setRequestHandler('resources/unsubscribe', async ({ params }) => {
    watched.delete(params.uri);
    return {};
  });
  return mcp;
}

/** What the legacy client of an instance watches. */
export const watchedBy = new WeakMap<McpServer, ReadonlySet<string>>();

/** Tells the legacy client of an instance that all it watches was updated. */
export function tellWatched(mcp: McpServer): void {
  for (const uri of watchedBy.get(mcp) ?? []) void mcp.server.sendResourceUpdated({ uri });
}

/** One more tool; connected clients are told. */
export function addTool(mcp: McpServer, tool: string): void {
  mcp.registerTool(tool, { description: `The tool ${tool}` }, async () => text(tool));
}

function addTools(mcp: McpServer, name: string, onStock: (mcp: McpServer) => void): void {
  const texts = (...names: string[]) =>
    fromJsonSchema<Record<string, unknown>>({
      type: 'object',
      properties: Object.fromEntries(names.map((each) => [each, { type: ['string', 'number'] }])),
    });
  mcp.registerTool('echo', { description: `Repeats a text`, inputSchema: texts('text', 'afterMs') }, async (args) => {
    await pause(Number(args['afterMs'] ?? 0));
    return text(`${name} says ${String(args['text'])}`);
  });
  mcp.registerTool(
    'order',
    { description: 'Orders an item', inputSchema: texts('item', 'size', 'key') },
    async (args) => text(JSON.stringify(args)),
  );
  mcp.registerTool('ask', { description: 'Asks the user for a name' }, async (ctx) => askOnce(ctx));
  mcp.registerTool('poke', { description: 'Asks the user outside of the call' }, async () => {
    // After the call's own answer; what the user says is shown by the tool `restock` of the same conversation.
    const ask = () =>
      mcp.server.elicitInput(FORM).then(
        ({ content }) => void said.set(mcp, String(content?.['name'])),
        () => {},
      );
    setTimeout(() => void ask(), 20);
    return text('asking');
  });
  mcp.registerTool('restock', { description: 'Fills the stock' }, async () => {
    onStock(mcp);
    return text(said.get(mcp) ?? 'full');
  });
}

const FORM = {
  message: 'Who are you?',
  requestedSchema: { type: 'object' as const, properties: { name: { type: 'string' as const } } },
};

/** What clients said last outside of calls. */
const said = new WeakMap<McpServer, string>();

/** Legacy clients are asked while the call is open; the SDK sees to that. */
async function askOnce({ mcpReq: { inputResponses } }: ServerContext) {
  const answer = inputResponses?.['user'];
  return answer === undefined
    ? inputRequired({ inputRequests: { user: inputRequired.elicit(FORM) } })
    : text(`answered ${JSON.stringify((answer as { content?: unknown }).content)}`);
}

function addResources(mcp: McpServer, name: string): void {
  for (const uri of [stockOf(name), COMMON]) {
    mcp.registerResource(uri, uri, { mimeType: 'text/plain' }, async () => ({
      contents: [{ uri, text: `of ${name}` }],
    }));
  }
  const complete = { item: (value: string) => ['apple', 'pear'].filter((item) => item.startsWith(value)) };
  mcp.registerResource(
    'items',
    new ResourceTemplate(`shop://${name}/items/{item}`, { list: undefined, complete }),
    { mimeType: 'text/plain' },
    async (uri, { item }) => ({ contents: [{ uri: uri.href, text: `${name} has ${String(item)}` }] }),
  );
}

function completeWho(value: string | undefined): string[] {
  return ['ann', 'anton', 'bob'].filter((who) => who.startsWith(value ?? ''));
}

/** This file, to be run with Node. */
export const SHOP_PROGRAM = fileURLToPath(import.meta.url);

if (process.argv[1] === SHOP_PROGRAM) {
  const [, , name = '', era] = process.argv;
  if (era === 'legacy') {
    await createShop(name, [], tellWatched).connect(new StdioServerTransport());
  } else {
    const restock = (mcp: McpServer) => void mcp.server.sendResourceUpdated({ uri: stockOf(name) });
    serveStdio(() => createShop(name, [], restock), { legacy: 'reject' });
  }
}
