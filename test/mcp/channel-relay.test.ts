import { describe, expect, test } from 'vitest';
import { fakeUpstream } from '../upstream/stdio.ts';
import { cleanUpLater, until } from './mall.ts';
import { openSession, post, send, toolCall } from './mcp-client.ts';
import { startMcpGateway } from './mcp-gateway.ts';

async function setUp(...args: Parameters<typeof fakeUpstream>) {
  const gateway = await startMcpGateway({ upstream: fakeUpstream(...args) });
  cleanUpLater(gateway.stop);
  return { url: gateway.urlOf('demo'), key: 'alice' };
}

describe('a legacy client of a process', () => {
  test('that it shares with all others is told the revision that it asked for', async () => {
    const caller = await setUp({ sharing: 'per_upstream' });
    const initialize = async (protocolVersion: string) => {
      const params = { protocolVersion, capabilities: {}, clientInfo: { name: 'test', version: '1' } };
      const text = JSON.stringify({ jsonrpc: '2.0', id: 0, method: 'initialize', params });
      return (await send(caller, text, {})).next();
    };
    expect(await initialize('2024-11-05')).toMatchObject({ result: { protocolVersion: '2024-11-05' } });
    expect(await initialize('2025-11-25')).toMatchObject({ result: { protocolVersion: '2025-11-25' } });
  });

  test('cancels a call also where numbers of it are kept as they were written', async () => {
    const session = await openSession(await setUp());
    const hang = `{"jsonrpc":"2.0","id":5,"method":"tools/call","params":{"name":"hang","arguments":{"n":12345678901234567890}}}`;
    const hanging = send(session, hang, { 'mcp-protocol-version': '2025-11-25' });
    const received = async () => JSON.stringify(await (await post(session, toolCall(1, 'received'))).rest());
    await until(async () => (await received()).includes('"name":"hang"'));
    await post(session, { jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 5 } });
    await (await hanging).rest();
    expect(await received()).toContain('notifications/cancelled');
  });
});
