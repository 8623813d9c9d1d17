import { getEventListeners } from 'node:events';
import { describe, expect, it } from 'vitest';
import { DecisionReason } from '../../gen/portcullis/v1/decision_pb.ts';
import type { Effect } from '../../gen/portcullis/v1/policy_rule_pb.ts';
import type { AuthorizeRequest } from '../../gen/portcullis/v1/tool_service_pb.ts';
import { createGuard, type GuardOptions } from '../src/guard.ts';
import {
  ALLOWED,
  clientOf,
  clientOfRaw,
  DENIED,
  deniedWith,
  guardedTool,
  NEEDS_APPROVAL,
  REFUNDED,
} from './guarded-tool.ts';

describe('an allowed call', () => {
  it('runs the handler with the parameters it was called with, and gives what it returns', async () => {
    const { call, ran, denials } = guardedTool(clientOf(() => ALLOWED));
    const args = { amount: 20 };
    const extra = { requestId: 7 };

    expect(await call(args, extra)).toEqual(REFUNDED);
    expect(ran).toHaveLength(1);
    expect(ran[0]?.[0]).toBe(args);
    expect(ran[0]?.[1]).toBe(extra);
    expect(denials).toEqual([]);
  });

  it('throws what the handler throws', async () => {
    const problem = new Error('no such order');
    const guard = createGuard(
      clientOf(() => ALLOWED),
      { agentId: 'bot' },
    );

    await expect(
      guard('refund', () => {
        throw problem;
      })(),
    ).rejects.toBe(problem);
  });

  it('is asked about with agent, tool, arguments, session and upstream', async () => {
    const asked: AuthorizeRequest[] = [];
    const client = clientOf((request) => {
      asked.push(request);
      return ALLOWED;
    });
    const bySlug = guardedTool(client, { agentId: 'support-bot', session: 's-1', upstream: 'shop' });
    const byId = guardedTool(client, {
      agentId: '0199aaaa-0000-7000-8000-000000000001',
      session: (extra) => (extra as { user: string }).user,
    });

    await bySlug.call({ amount: 20, order: { id: 'x', lines: [1, null, true, 'é'] } }, {});
    await byId.call({}, { user: 'ada' });

    expect(
      asked.map(({ agent, tool, arguments: args, session, upstream, approvalWait }) => [
        agent?.value,
        tool,
        args,
        session,
        upstream,
        approvalWait,
      ]),
    ).toEqual([
      [
        { case: 'slug', value: 'support-bot' },
        'refund',
        { amount: 20, order: { id: 'x', lines: [1, null, true, 'é'] } },
        's-1',
        'shop',
        undefined,
      ],
      [{ case: 'id', value: '0199aaaa-0000-7000-8000-000000000001' }, 'refund', {}, 'ada', '', undefined],
    ]);
  });

  it('has no arguments when the handler gets only the extra of an MCP SDK, which a client can not imitate', async () => {
    const asked: unknown[] = [];
    const client = clientOf(({ arguments: args }) => {
      asked.push(args);
      return ALLOWED;
    });
    const { call } = guardedTool(client);
    const { signal } = new AbortController();

    await call({ signal, requestId: 1 });
    await call({ mcpReq: { signal }, sessionId: 's' });
    await call();
    await call(undefined, { signal });
    await call({ signal: { aborted: false, addEventListener: 'x' } });
    await call({ mcpReq: { signal: { aborted: false } } });

    expect(asked).toEqual([
      {},
      {},
      {},
      {},
      { signal: { aborted: false, addEventListener: 'x' } },
      { mcpReq: { signal: { aborted: false } } },
    ]);
  });
});

describe('a denied call', () => {
  it('never runs its handler, and is told once', async () => {
    const { call, ran, denials } = guardedTool(
      clientOf(() => DENIED),
      { onError: 'allow' },
    );

    expect(await call({ amount: 200 })).toEqual(deniedWith('Refunds above 100 are not allowed.'));
    expect(ran).toEqual([]);
    expect(denials).toEqual([
      {
        kind: 'denied',
        toolName: 'refund',
        reason: 'Refunds above 100 are not allowed.',
        decisionId: 'd2',
        decisionReason: DecisionReason.RULE,
        ruleIds: ['refunds/limit'],
      },
    ]);
  });

  it.each([
    ['no outcome', { decisionId: 'd1' }],
    ['an outcome that came after this version', { outcome: 99 as Effect, decisionId: 'd1' }],
  ])('is also one with %s', async (_, response) => {
    const { call, ran, denials } = guardedTool(
      clientOf(() => response),
      { onError: 'allow' },
    );

    expect(await call({})).toEqual(deniedWith('This call is not allowed.'));
    expect(ran).toEqual([]);
    expect(denials.map(({ kind }) => kind)).toEqual(['denied']);
  });

  it('stays denied, once, when onDenied throws, rejects or never ends', async () => {
    let told = 0;
    const callbacks = [
      () => {
        told++;
        throw new Error('the log is full');
      },
      () => {
        told++;
        return Promise.reject(new Error('the log is full'));
      },
      () => {
        told++;
        return new Promise(() => {});
      },
    ];
    for (const onDenied of callbacks) {
      const { call, ran } = guardedTool(
        clientOf(() => DENIED),
        { onDenied },
      );

      expect(await call({})).toEqual(deniedWith('Refunds above 100 are not allowed.'));
      expect(ran).toEqual([]);
    }
    expect(told).toBe(3);
  });

  it('names the approval that it needs', async () => {
    const { call, ran, denials } = guardedTool(
      clientOf(() => NEEDS_APPROVAL),
      { onError: 'allow' },
    );

    expect(await call({})).toEqual(deniedWith('Refunds need approval. (approval a1)'));
    expect(ran).toEqual([]);
    expect(denials).toEqual([
      {
        kind: 'approval_required',
        toolName: 'refund',
        reason: 'Refunds need approval. (approval a1)',
        decisionId: 'd3',
        decisionReason: DecisionReason.RULE,
        ruleIds: [],
        approvalId: 'a1',
        approvalExpireTime: new Date(1_900_000_000_000),
      },
    ]);
  });
});

describe('a caller that goes away', () => {
  it('is denied at once, without a question when it was gone before', async () => {
    let asked = 0;
    const client = clientOf(() => {
      asked++;
      return ALLOWED;
    });
    const { call, ran, denials } = guardedTool(client, { onError: 'allow' });

    expect(await call({}, { signal: AbortSignal.abort() })).toEqual(deniedWith('The call was canceled.'));
    expect(await call({}, { mcpReq: { signal: AbortSignal.abort() } })).toEqual(deniedWith('The call was canceled.'));
    expect(asked).toBe(0);
    expect(ran).toEqual([]);
    expect(denials.map(({ kind }) => kind)).toEqual(['canceled', 'canceled']);
  });

  it('ends the question, and leaves nothing behind on the signal', async () => {
    const aborter = new AbortController();
    const { client, requests } = await clientOfRaw((request) => {
      request.on('close', () => {});
      setImmediate(() => aborter.abort());
    });
    const { call, ran, denials } = guardedTool(client, { onError: 'allow' });

    expect(await call({}, { signal: aborter.signal })).toEqual(deniedWith('The call was canceled.'));
    expect(requests).toHaveLength(1);
    expect(ran).toEqual([]);
    expect(denials).toHaveLength(1);
    expect(getEventListeners(aborter.signal, 'abort')).toEqual([]);
  });

  it('does not get the handler run when it went while the answer came', async () => {
    const aborter = new AbortController();
    const { call, ran } = guardedTool(
      clientOf(() => {
        queueMicrotask(() => aborter.abort());
        return ALLOWED;
      }),
    );

    expect(await call({}, { signal: aborter.signal })).toEqual(deniedWith('The call was canceled.'));
    expect(ran).toEqual([]);
  });
});

it('gives every one of many calls at once its own answer', async () => {
  const client = clientOf(async ({ arguments: args }) => {
    const number = Number(args?.['number']);
    await new Promise((resolve) => setTimeout(resolve, (number * 7) % 13));
    return number % 2 === 0 ? ALLOWED : DENIED;
  });
  const ran: number[] = [];
  const denied: unknown[] = [];
  const guard = createGuard(client, { agentId: 'bot', onDenied: () => denied.push(1) });
  const call = guard('refund', ({ number }: { number: number }) => {
    ran.push(number);
    return number;
  });

  const answers = await Promise.all(Array.from({ length: 200 }, (_, number) => call({ number })));

  for (const [number, answer] of answers.entries()) {
    expect(answer).toEqual(number % 2 === 0 ? number : deniedWith('Refunds above 100 are not allowed.'));
  }
  expect(ran.sort((a, b) => a - b)).toEqual(Array.from({ length: 100 }, (_, half) => half * 2));
  expect(denied).toHaveLength(100);
});

it.each([
  ['agentId', { agentId: '' }],
  ['agentId', {}],
  ['onError', { agentId: 'bot', onError: 'Allow' }],
  ['onDenied', { agentId: 'bot', onDenied: 'log' }],
  ['timeoutMs', { agentId: 'bot', timeoutMs: 0 }],
  ['timeoutMs', { agentId: 'bot', timeoutMs: Number.POSITIVE_INFINITY }],
  ['timeoutMs', { agentId: 'bot', timeoutMs: '5000' }],
  ['session', { agentId: 'bot', session: 7 }],
  ['upstream', { agentId: 'bot', upstream: 7 }],
  ['cacheMs', { agentId: 'bot', cacheMs: -1 }],
  ['cacheMs', { agentId: 'bot', cacheMs: Number.NaN }],
  ['waitForApproval.timeoutMs', { agentId: 'bot', waitForApproval: {} }],
])('refuses a wrong option %s when the guard is made', (name, options) => {
  expect(() =>
    createGuard(
      clientOf(() => ALLOWED),
      options as unknown as GuardOptions,
    ),
  ).toThrow(`The option ${name} of the guard must be`);
});
