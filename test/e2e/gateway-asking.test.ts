import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Era } from '../../gen/portcullis/v1/upstream_pb.ts';
import type { GatewayProcess } from '../support/gateway-process.ts';
import { stdio, streamableHttp } from './support-api.ts';
import { connectChatty } from './support-chatty-clients.ts';
import { CHATTY_PROGRAM, serveChatty } from './support-chatty-upstream.ts';
import { createCleanUp } from './support-clean-up.ts';
import { callerOf } from './support-mcp-session.ts';
import { operatorOf } from './support-policies.ts';

const ROUNDS = 30;

let gateway: GatewayProcess;
const cleanUp = createCleanUp();

beforeAll(async () => {
  gateway = await cleanUp.startGateway({
    env: { GATEWAY_STDIO_COMMANDS: process.execPath, GATEWAY_DEMO_UPSTREAM: 'false' },
  });
  const chatty = await cleanUp.add(serveChatty(), ({ stop }) => stop());
  const { upstreams, gateways } = await operatorOf(gateway);
  const program = stdio(process.execPath, [CHATTY_PROGRAM]);
  await upstreams.createUpstream({ slug: 'legacy-http', era: Era.LEGACY, transport: streamableHttp(chatty.legacyUrl) });
  await upstreams.createUpstream({ slug: 'modern-http', era: Era.MODERN, transport: streamableHttp(chatty.modernUrl) });
  await upstreams.createUpstream({ slug: 'legacy-stdio', era: Era.LEGACY, transport: program });
  await upstreams.createUpstream({ slug: 'modern-stdio', era: Era.MODERN, transport: program });
  const slugs = ['legacy-http', 'modern-http', 'legacy-stdio', 'modern-stdio'];
  await gateways.createGateway({ slug: 'all', upstreams: slugs.map((slug) => ({ slug })) });
});

afterAll(cleanUp.run);

describe.each(['legacy', 'modern'] as const)('a %s client that has several calls under way at', (era) => {
  test.each(['legacy-http', 'modern-http', 'legacy-stdio', 'modern-stdio'])(
    '%s is asked for each, and every call gets its own answer',
    { timeout: 60_000 },
    async (slug) => {
      const { url, apiKey } = callerOf(gateway, 'all');
      const onElicit = (message: string) => `yes to ${message}`;
      const client = await connectChatty({ url, apiKey, era, onElicit });
      for (let round = 1; round <= ROUNDS; round++) {
        const answers = await Promise.all([
          client.call(`${slug}_slow`, { text: 'a', ms: 1 + (round % 7) }),
          client.call(`${slug}_ask`, { text: `${round}/b` }),
          client.call(`${slug}_report`, { text: 'c' }, () => {}),
          client.call(`${slug}_ask`, { text: `${round}/d` }),
        ]);
        expect(answers).toEqual([
          'slow: a',
          `ask: ${round}/b: yes to ${round}/b`,
          'report: c',
          `ask: ${round}/d: yes to ${round}/d`,
        ]);
      }
      await client.close();
    },
  );
});
