// An MCP server with the MCP SDK 1.x, over stdio, whose handlers are guarded one by one.
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import { StdioServerTransport } from '@modelcontextprotocol/sdk/server/stdio.js';
import { createPortcullisClient } from '@portcullis/sdk';
import { createGuard } from '@portcullis/sdk/guard';
import { z } from 'zod';

const { PORTCULLIS_URL = 'http://127.0.0.1:8000', PORTCULLIS_API_KEY = '', SHOP_ON_ERROR } = process.env;

const portcullis = createPortcullisClient({ baseUrl: PORTCULLIS_URL, apiKey: PORTCULLIS_API_KEY });
const guard = createGuard(portcullis, {
  agentId: 'support-bot',
  onError: SHOP_ON_ERROR === 'allow' ? 'allow' : 'deny',
  onDenied: (toolName, reason) => console.error(`denied ${toolName}: ${reason}`),
});

const server = new McpServer({ name: 'shop', version: '1.0.0' });

server.registerTool(
  'refund',
  { description: 'Pays an order back.', inputSchema: { order: z.string(), amount: z.number().positive() } },
  guard('refund', async ({ order, amount }) => {
    console.error(`refunded ${order}`);
    return { content: [{ type: 'text', text: `Refunded ${amount} for ${order}.` }] };
  }),
);

await server.connect(new StdioServerTransport());
