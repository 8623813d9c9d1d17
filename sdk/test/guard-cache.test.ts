import type { MessageInitShape } from '@bufbuild/protobuf';
import { describe, expect, it } from 'vitest';
import { DecisionReason } from '../../gen/portcullis/v1/decision_pb.ts';
import type { AuthorizeRequest, AuthorizeResponseSchema } from '../../gen/portcullis/v1/tool_service_pb.ts';
import { createAllowCache } from '../src/guard/allow-cache.ts';
import { createGuard } from '../src/guard.ts';
import { ALLOWED, clientOf, clientOfRaw, DENIED, deniedWith, guardedTool, page, REFUNDED } from './guarded-tool.ts';

describe('the cache', () => {
  function countingClient(answer: MessageInitShape<typeof AuthorizeResponseSchema> = ALLOWED) {
    const asked: AuthorizeRequest[] = [];
    const client = clientOf((request) => {
      asked.push(request);
      return answer;
    });
    return { client, asked };
  }

  it('is off by default', async () => {
    const { client, asked } = countingClient();
    const { call } = guardedTool(client);

    await call({ amount: 1 });
    await call({ amount: 1 });

    expect(asked).toHaveLength(2);
  });

  it('answers the same question once, whatever the order of the arguments, for all guards of the client', async () => {
    const { client, asked } = countingClient();

    await guardedTool(client, { cacheMs: 60_000 }).call({ amount: 1, order: { a: 1, b: [2] } });
    const { call, ran } = guardedTool(client, { cacheMs: 60_000 });
    expect(await call({ order: { b: [2], a: 1 }, amount: 1 })).toEqual(REFUNDED);

    expect(asked).toHaveLength(1);
    expect(ran).toHaveLength(1);
  });

  it('asks for every other agent, tool, session, upstream and argument', async () => {
    const { client, asked } = countingClient();
    const options = { agentId: 'bot', cacheMs: 60_000 };
    const handler = (..._: unknown[]) => 'ran';

    const guard = createGuard(client, options);
    await guard('a', handler)({ x: 1 });
    await guard('b', handler)({ x: 1 });
    await guard('a', handler)({ x: '1' });
    await guard('a', handler)({ y: 1 });
    for (const other of [{ agentId: 'cat' }, { session: 's' }, { upstream: 's' }]) {
      await createGuard(client, { ...options, ...other })('a', handler)({ x: 1 });
    }
    await createGuard(
      clientOf(() => DENIED),
      options,
    )(
      'a',
      handler,
    )({ x: 1 });

    expect(asked).toHaveLength(7);
  });

  it('forgets after its time', async () => {
    const { client, asked } = countingClient();
    const { call } = guardedTool(client, { cacheMs: 30 });

    await call({});
    await new Promise((resolve) => setTimeout(resolve, 40));
    await call({});

    expect(asked).toHaveLength(2);
  });

  it('keeps no approval, no denial and no outage', async () => {
    const approval = countingClient({ ...ALLOWED, reason: DecisionReason.APPROVAL });
    const denial = countingClient(DENIED);
    const { call: approved } = guardedTool(approval.client, { cacheMs: 60_000 });
    const { call: denied } = guardedTool(denial.client, { cacheMs: 60_000 });
    const { client, requests } = await clientOfRaw(page(503));
    const { call: open } = guardedTool(client, { cacheMs: 60_000, onError: 'allow' });

    for (const call of [approved, denied, open]) {
      await call({});
      await call({});
    }

    expect([approval.asked.length, denial.asked.length, requests.length]).toEqual([2, 2, 2]);
  });

  it('does not run the handler of a caller that goes while it is looked up', async () => {
    const { client } = countingClient();
    const aborter = new AbortController();
    let asked = 0;
    const session = () => {
      if (++asked === 2) aborter.abort();
      return 's';
    };
    const { call, ran } = guardedTool(client, { cacheMs: 60_000, session });

    expect(await call({}, { signal: aborter.signal })).toEqual(REFUNDED);
    expect(await call({}, { signal: aborter.signal })).toEqual(deniedWith('The call was canceled.'));
    expect(ran).toHaveLength(1);
  });

  it('does not run the handler of a caller that is gone', async () => {
    const { client } = countingClient();
    const { call, ran } = guardedTool(client, { cacheMs: 60_000 });

    await call({}, {});
    expect(await call({}, { signal: AbortSignal.abort() })).toEqual(deniedWith('The call was canceled.'));
    expect(ran).toHaveLength(1);
  });
});

describe('the memory of the cache', () => {
  it('holds 1,000 answers, of which the oldest goes first', () => {
    const cache = createAllowCache(() => 0);
    for (let number = 0; number < 1_000; number++) cache.add(`q${number}`);
    cache.add('q0');
    expect([cache.has('q0', 1), cache.has('q1', 1)]).toEqual([true, true]);

    cache.add('q1000');
    cache.add('q1001');

    expect(['q0', 'q1', 'q2', 'q3', 'q1001'].map((question) => cache.has(question, 1))).toEqual([
      true,
      false,
      false,
      true,
      true,
    ]);
  });

  it('holds no question of more than 4,096 characters', () => {
    const cache = createAllowCache(() => 0);
    cache.add('x'.repeat(4_096));
    cache.add('x'.repeat(4_097));

    expect([cache.has('x'.repeat(4_096), 1), cache.has('x'.repeat(4_097), 1)]).toEqual([true, false]);
  });
});
