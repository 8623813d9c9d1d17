import { describe, expect, test } from 'vitest';
import { CLIENTS, openMall } from './mall.ts';
import { openSession, post, postModern, toolCall } from './mcp-client.ts';
import { gatewayOf, SHOP_KINDS } from './shops.ts';

const entry = { tools: { order: { name: 'buy', fixedArguments: { key: 'secret' } } }, timeoutMs: 4_000 };

describe.each(CLIENTS)('a call of $name that waits for an approval', ({ connect }) => {
  test.each(SHOP_KINDS)('goes on as it was routed, to an upstream (%s)', async (kind) => {
    const { gateway, url } = await openMall([{ kind, entry }, 'http modern'], { approval: { behavior: 'hold' } });
    const client = await connect(url);
    const answer = client.call('s1_buy', { item: 'hat' });
    const { id, upstreamSlug, tool } = await gateway.approvals.next();
    expect([upstreamSlug, tool]).toEqual(['s1', 'order']);
    gateway.approvals.approve(id);
    expect(JSON.parse(await answer)).toEqual({ item: 'hat', key: 'secret' });
    expect(gateway.decisions.map(({ effect, gatewaySlug }) => [effect, gatewaySlug])).toEqual([
      ['require_approval', 'mall'],
      ['allow', 'mall'],
    ]);
  });

  test('is not made when its gateway was changed meanwhile', async () => {
    const { gateway, url } = await openMall(['http legacy', 'http modern'], { approval: { behavior: 'hold' } });
    const client = await connect(url);
    const answer = client.call('s1_echo', { text: 'hi' });
    const { id } = await gateway.approvals.next();
    gateway.settings.putGateway(gatewayOf('mall', [{ slug: 's2' }]));
    gateway.approvals.approve(id);
    await expect(answer).rejects.toMatchObject({ code: -32603, data: { reason: 'failed_precondition' } });
  });
});

describe('a client that can open URLs', () => {
  const CAPABILITIES = { elicitation: { url: {} } };

  test('of the modern era is asked to open the page, and comes again with the same call', async () => {
    const { gateway, url } = await openMall(['stdio legacy', 'http modern'], { approval: { behavior: 'elicit' } });
    const caller = { url, key: 'alice' };
    for (const shop of ['s1', 's2']) {
      const asked = await (await postModern(caller, toolCall(1, `${shop}_echo`, { text: 'hi' }), CAPABILITIES)).next();
      expect(asked).toMatchObject({ result: { resultType: 'input_required' } });
      const { requestState } = (asked as { result: { requestState: string } }).result;
      gateway.approvals.approve((await gateway.approvals.next()).id);
      const more = { requestState, inputResponses: { portcullis_approval: { action: 'accept' } } };
      const retry = toolCall(2, `${shop}_echo`, { text: 'hi' }, more);
      expect((await (await postModern(caller, retry, CAPABILITIES)).rest()).at(-1)).toMatchObject({
        id: 2,
        result: { resultType: 'complete', content: [{ text: `${shop} says hi` }] },
      });
    }
  });

  test('of the legacy era is asked on the open response', async () => {
    const { gateway, url } = await openMall(['stdio legacy', 'http modern'], { approval: { behavior: 'elicit' } });
    const session = await openSession({ url, key: 'alice' }, CAPABILITIES);
    for (const shop of ['s1', 's2']) {
      const call = await post(session, toolCall(1, `${shop}_echo`, { text: 'hi' }));
      expect(await call.next()).toMatchObject({ method: 'elicitation/create', params: { mode: 'url' } });
      gateway.approvals.approve((await gateway.approvals.next()).id);
      expect((await call.rest()).at(-1)).toMatchObject({ id: 1, result: { content: [{ text: `${shop} says hi` }] } });
    }
  });
});
