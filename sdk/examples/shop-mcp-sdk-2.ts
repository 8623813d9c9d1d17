// An MCP server with the MCP SDK 2.x, over streamable HTTP, all of whose tools are guarded at once.
import { createServer } from 'node:http';
import { toNodeHandler } from '@modelcontextprotocol/node';
import { createMcpHandler, McpServer } from '@modelcontextprotocol/server';
import { createPortcullisClient } from '@portcullis/sdk';
import { guardMiddleware } from '@portcullis/sdk/guard';
import { z } from 'zod';

const { PORTCULLIS_URL = 'http://127.0.0.1:8000', PORTCULLIS_API_KEY = '', SHOP_ON_ERROR, PORT = '3000' } = process.env;

const portcullis = createPortcullisClient({ baseUrl: PORTCULLIS_URL, apiKey: PORTCULLIS_API_KEY });

/** One server for every request, as revision 2026-07-28 has no sessions. */
function createShop(): McpServer {
  const server = new McpServer({ name: 'shop', version: '1.0.0' });
  guardMiddleware(server, {
    client: portcullis,
    agentId: 'support-bot',
    onError: SHOP_ON_ERROR === 'allow' ? 'allow' : 'deny',
    onDenied: (toolName, reason) => console.error(`denied ${toolName}: ${reason}`),
  });
  server.registerTool(
    'refund',
    {
      description: 'Pays an order back.',
      inputSchema: z.object({ order: z.string(), amount: z.number().positive() }),
    },
    async ({ order, amount }) => {
      console.error(`refunded ${order}`);
      return { content: [{ type: 'text', text: `Refunded ${amount} for ${order}.` }] };
    },
  );
  return server;
}

const handle = toNodeHandler(createMcpHandler(createShop));
const listener = createServer((request, response) => void handle(request, response));
listener.listen(Number(PORT), '127.0.0.1', () => {
  const address = listener.address();
  if (typeof address === 'object') console.error(`listening on http://127.0.0.1:${address?.port}/mcp`);
});
