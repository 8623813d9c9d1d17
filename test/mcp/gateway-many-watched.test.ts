import { expect, test } from 'vitest';
import { type RawRequest, serveRaw } from '../upstream/raw-http-upstream.ts';
import { cleanUpLater, until } from './mall.ts';
import { postModern, toolCall } from './mcp-client.ts';
import { startMcpGateway } from './mcp-gateway.ts';
import { gatewayOf } from './shops.ts';

test('a stream that watches many resources asks a legacy upstream for a few at a time, between which it takes calls', async () => {
  const held: RawRequest[] = [];
  let isHeld = true;
  const raw = await serveRaw(
    (request) => {
      const { method } = request;
      if (method === 'initialize') {
        const capabilities = { tools: {}, resources: { subscribe: true } };
        request.result({ protocolVersion: '2025-11-25', capabilities, serverInfo: { name: 'raw', version: '1' } });
      } else if (method === 'tools/list')
        request.result({ tools: [{ name: 'echo', inputSchema: { type: 'object' } }] });
      else if (method === 'resources/list') request.result({ resources: [] });
      else if (method === 'resources/templates/list') request.result({ resourceTemplates: [] });
      else if (method === 'tools/call') request.result({ content: [] });
      else if (method === 'resources/subscribe' && isHeld) held.push(request);
      else return false;
      return true;
    },
    { era: 'legacy' },
  );
  cleanUpLater(raw.stop);
  const gateways = [gatewayOf('mall', [{ slug: 'demo' }])];
  const gateway = await startMcpGateway({ upstreams: [raw.upstream], gateways });
  cleanUpLater(gateway.stop);
  const caller = { url: gateway.urlOf('mall'), key: 'alice' };
  const resourceSubscriptions = Array.from({ length: 40 }, (_, index) => `raw://${index}`);

  const stream = await postModern(caller, {
    jsonrpc: '2.0',
    id: 1,
    method: 'subscriptions/listen',
    params: { notifications: { resourceSubscriptions } },
  });
  await until(() => held.length > 0);
  const call = await (await postModern(caller, toolCall(2, 'echo'))).rest();
  expect(call).toMatchObject([{ id: 2, result: { content: [] } }]);
  expect(held.length).toBeLessThanOrEqual(4);

  isHeld = false;
  for (const request of held) request.result({});
  await until(() => raw.count('resources/subscribe') === 40);
  stream.leave();
  await until(() => raw.count('resources/unsubscribe') === 40);
});
