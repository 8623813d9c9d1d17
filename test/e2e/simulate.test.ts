import { afterAll, beforeAll, expect, test } from 'vitest';
import { Effect, RateScope } from '../../gen/portcullis/v1/policy_rule_pb.ts';
import { createPortcullisClient } from '../../sdk/src/index.ts';
import type { GatewayProcess } from '../support/gateway-process.ts';
import { createCleanUp } from './support-clean-up.ts';

let gateway: GatewayProcess;
const cleanUp = createCleanUp();

beforeAll(async () => {
  gateway = await cleanUp.startGateway({ env: { GATEWAY_DEMO_UPSTREAM: 'false' } });
});
afterAll(() => cleanUp.run());

const limit = (maximum: number) => ({
  targets: [{ toolPattern: 'pay' }],
  rules: [
    {
      id: 'amount',
      kind: {
        case: 'arguments' as const,
        value: {
          constraints: [{ path: 'amount', type: { case: 'number' as const, value: { maximum } }, effect: Effect.DENY }],
        },
      },
    },
    {
      id: 'often',
      kind: {
        case: 'rate' as const,
        value: { maxCalls: 5, windowSeconds: 3600, per: RateScope.AGENT, violationEffect: Effect.DENY },
      },
    },
  ],
});

test('a draft is tried on what the gateway recorded, through the SDK', async () => {
  const { agents, policies, tools } = createPortcullisClient({ baseUrl: gateway.baseUrl, apiKey: gateway.apiKey });
  await agents.createAgent({ slug: 'robot' });
  await policies.createPolicy({ slug: 'limit', content: limit(100) });
  const agent = { value: { case: 'slug' as const, value: 'robot' } };
  for (const amount of [10, 50, 90, 110]) {
    await tools.authorize({ agent, tool: 'pay', arguments: { amount } });
  }
  const policy = { value: { case: 'slug' as const, value: 'limit' } };
  const simulate = async (maximum: number) => {
    const found = [];
    for await (const { value } of policies.simulatePolicy({
      policy,
      candidate: { case: 'draft', value: limit(maximum) },
    })) {
      found.push(value);
    }
    return found;
  };

  expect(await simulate(100)).toMatchObject([
    { case: 'summary', value: { decided: 4n, unchanged: 4n, changed: 0n, unknown: 0n, allow: 3n, deny: 1n } },
  ]);
  expect(await simulate(60)).toMatchObject([
    {
      case: 'change',
      value: {
        tool: 'pay',
        from: Effect.ALLOW,
        to: Effect.DENY,
        ruleIds: ['limit/amount'],
        failures: [{ path: 'amount', check: 'maximum', actual: '90' }],
      },
    },
    { case: 'summary', value: { decided: 4n, unchanged: 3n, changed: 1n, allow: 2n, deny: 2n } },
  ]);
  expect(await simulate(200)).toMatchObject([
    { case: 'change', value: { from: Effect.DENY, to: Effect.ALLOW, ruleIds: [] } },
    { case: 'summary', value: { changed: 1n, allow: 4n, deny: 0n } },
  ]);
});
