import { request } from 'undici';
import { afterEach, expect, test } from 'vitest';
import { fakeUpstream } from '../upstream/stdio.ts';
import { openSession } from './mcp-client.ts';
import { principalOf, startMcpGateway } from './mcp-gateway.ts';

const cleanUps: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0)) {
    await cleanUp();
  }
});

test.each(['suspended', 'revoked'] as const)('the open stream of an agent ends when it is %s', async (agentState) => {
  const gateway = await startMcpGateway({ upstream: fakeUpstream({}, { era: 'legacy' }), approval: {} });
  cleanUps.push(gateway.stop);
  const { url, sessionId } = await openSession({ url: gateway.url, key: 'alice' });
  const stream = await request(url, {
    headers: { authorization: 'Bearer alice', accept: 'text/event-stream', 'mcp-session-id': sessionId ?? '' },
  });
  expect(stream.statusCode).toBe(200);
  gateway.setPrincipal('alice', principalOf('alice', { agentState }));
  expect(await stream.body.text()).toBe('');
});
