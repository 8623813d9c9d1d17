import { afterEach, describe, expect, test } from 'vitest';
import { post, postModern, toolCall } from './mcp-client.ts';
import { type McpGateway, startMcpGateway } from './mcp-gateway.ts';
import { answerJson, type HandUpstream, serveByHand } from './upstreams.ts';

const cleanUps: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).toReversed()) {
    await cleanUp();
  }
});

async function setUp(era: 'legacy' | 'modern', behavior: 'error' | 'hold' | 'elicit' = 'error') {
  const upstream = await serveByHand(
    ({ id }, response) => answerJson(response, { id, result: { resultType: 'complete', content: [] } }),
    { era },
  );
  const gateway: McpGateway = await startMcpGateway({ upstream: upstream.upstream, approval: { behavior } });
  cleanUps.push(upstream.stop, gateway.stop);
  return { upstream: upstream satisfies HandUpstream, gateway, alice: { url: gateway.url, key: 'alice' } };
}

describe('a call that needs approval', () => {
  test('is refused with -32002 to a legacy client, with what it needs to come again', async () => {
    const { upstream, gateway, alice } = await setUp('legacy');
    const answer = await post(alice, toolCall(7, 'pay', { amount: 5 }));
    const [approval] = gateway.approvals.all();
    expect([answer.status, answer.contentType]).toEqual([200, 'application/json']);
    expect(await answer.rest()).toEqual([
      {
        jsonrpc: '2.0',
        id: 7,
        error: {
          code: -32002,
          message: 'Ask a human first.',
          data: {
            call_id: gateway.decisions[0]?.id,
            reason: 'rule',
            rule_ids: ['ask-first/ask'],
            approval_id: approval?.id,
            expires_at: new Date(approval?.expireTime ?? 0).toISOString(),
          },
        },
      },
    ]);
    expect(upstream.calls).toEqual([]);
  });

  test('is refused with -31002 to a modern client', async () => {
    const { gateway, alice } = await setUp('modern');
    const answer = await postModern(alice, toolCall('a', 'pay'));
    expect(await answer.rest()).toMatchObject([
      { id: 'a', error: { code: -31002, data: { approval_id: gateway.approvals.all()[0]?.id } } },
    ]);
  });

  test('goes through once when it comes again after it was approved', async () => {
    const { upstream, gateway, alice } = await setUp('legacy');
    await (await post(alice, toolCall(1, 'pay', { amount: 5 }))).rest();
    gateway.approvals.approve((await gateway.approvals.next()).id);
    const second = await (await post(alice, toolCall(2, 'pay', { amount: 5 }))).rest();
    const third = await (await post(alice, toolCall(3, 'pay', { amount: 5 }))).rest();
    expect(second).toEqual([{ jsonrpc: '2.0', id: 2, result: { resultType: 'complete', content: [] } }]);
    expect(third).toMatchObject([{ id: 3, error: { code: -32002 } }]);
    expect(upstream.calls).toHaveLength(1);
    expect(gateway.decisions.map(({ effect, reason }) => [effect, reason])).toEqual([
      ['require_approval', 'rule'],
      ['allow', 'approval'],
      ['require_approval', 'rule'],
    ]);
  });

  test.each(['legacy', 'modern'] as const)(
    'is refused like that to a %s client that cannot open URLs, when it should be elicited',
    async (era) => {
      const { gateway, alice } = await setUp(era, 'elicit');
      const answer =
        era === 'legacy'
          ? await post(alice, toolCall(1, 'pay'))
          : await postModern(alice, toolCall(1, 'pay'), { elicitation: {} });
      expect(await answer.rest()).toMatchObject([
        { error: { code: era === 'legacy' ? -32002 : -31002, data: { approval_id: gateway.approvals.all()[0]?.id } } },
      ]);
    },
  );
});
