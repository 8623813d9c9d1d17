import type { ServerResponse } from 'node:http';
import { afterEach, describe, expect, test, vi } from 'vitest';
import type { ApprovalId } from '../../src/domain/ids.ts';
import type { ApprovalSettings } from '../../src/domain/policy.ts';
import type { Era, Upstream } from '../../src/domain/upstream.ts';
import { upstreamOf } from '../upstream/fixtures.ts';
import { serveEverything } from '../upstream/http-clients.ts';
import { fakeUpstream } from '../upstream/stdio.ts';
import { type Caller, type Json, openSession, type Posted, post, postModern, toolCall } from './mcp-client.ts';
import { principalOf, startMcpGateway } from './mcp-gateway.ts';
import { answerJson, serveByHand } from './upstreams.ts';

const cleanUps: (() => Promise<void>)[] = [];

afterEach(async () => {
  vi.useRealTimers();
  for (const cleanUp of cleanUps.splice(0).toReversed()) {
    await cleanUp();
  }
});

type OnCall = (message: Json, response: ServerResponse) => void;

const sayDone: OnCall = ({ id }, response) => answerJson(response, { id, result: { content: [] } });
const done = (id: string | number) => ({ jsonrpc: '2.0', id, result: { content: [] } });

async function behind(upstream: Upstream, approval: Partial<ApprovalSettings> = {}) {
  const gateway = await startMcpGateway({ upstream, approval: { behavior: 'hold', ...approval } });
  cleanUps.push(gateway.stop);
  return { gateway, alice: { url: gateway.url, key: 'alice' } satisfies Caller };
}

async function setUp(
  onCall: OnCall = sayDone,
  { era = 'legacy', sessionId, ...approval }: Partial<ApprovalSettings> & { era?: Era; sessionId?: string } = {},
) {
  const upstream = await serveByHand(onCall, { era, ...(sessionId === undefined ? {} : { sessionId }) });
  cleanUps.push(upstream.stop);
  return { upstream, ...(await behind(upstream.upstream, approval)) };
}

/** A call in the client's era, held by now. */
function call(era: Era, caller: Caller, message: ReturnType<typeof toolCall>): Promise<Posted> {
  return era === 'legacy' ? post(caller, message) : postModern(caller, message);
}

describe('a held call', () => {
  test.each(['legacy', 'modern'] as const)(
    'of a %s client is answered in the stream that its wait began, once it is approved',
    async (era) => {
      const { upstream, gateway, alice } = await setUp(sayDone, { era });
      const answer = await call(era, alice, toolCall('x', 'pay', { amount: 5 }));
      expect([answer.status, answer.contentType]).toEqual([200, 'text/event-stream']);
      expect(upstream.calls).toEqual([]);
      gateway.approvals.approve((await gateway.approvals.next()).id);
      expect(await answer.rest()).toEqual([done('x')]);
      expect(gateway.decisions.map(({ effect, reason }) => [effect, reason])).toEqual([
        ['require_approval', 'rule'],
        ['allow', 'approval'],
      ]);
    },
  );

  test('tells its progress to a client that asked for it: who must do what until when, and ever more', async () => {
    const { gateway, alice } = await setUp();
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'Date'], now: Date.parse('2026-01-01T00:00:00Z') });
    const answer = await post(alice, toolCall(1, 'pay', {}, { _meta: { progressToken: 'p' } }));
    const { id } = await gateway.approvals.next();
    const first = await answer.next();
    await vi.advanceTimersByTimeAsync(5_000);
    const second = await answer.next();
    gateway.approvals.approve(id);
    const message =
      `A human must approve this call at https://gateway.test/approvals/${id}; ` +
      'it waits until 2026-01-01T00:00:50.000Z.';
    expect([first, second]).toEqual([
      { jsonrpc: '2.0', method: 'notifications/progress', params: { progressToken: 'p', progress: -50, message } },
      { jsonrpc: '2.0', method: 'notifications/progress', params: { progressToken: 'p', progress: -45, message } },
    ]);
    expect(await answer.rest()).toEqual([done(1)]);
  });

  test('sends comments while nothing happens', async () => {
    const { gateway, alice } = await setUp();
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
    const answer = await post(alice, toolCall(1, 'pay'));
    const { id } = await gateway.approvals.next();
    await vi.advanceTimersByTimeAsync(15_000);
    gateway.approvals.approve(id);
    await answer.rest();
    expect(answer.text()).toMatch(/^:\n\nevent: message\n/);
  });

  test('passes the events of an upstream that streams on unchanged', async () => {
    const events =
      'id: 1\nretry: 500\ndata:\n\n: hello\n\nevent: message\ndata: {"jsonrpc":"2.0","id":1,\ndata: "result":{}}\n\n';
    const { gateway, alice } = await setUp((_message, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.end(events);
    });
    const answer = await post(alice, toolCall(1, 'pay'));
    gateway.approvals.approve((await gateway.approvals.next()).id);
    await answer.rest();
    expect(answer.text()).toBe(events);
  });

  test('makes one event of a JSON answer on many lines', async () => {
    const { gateway, alice } = await setUp((_message, response) => {
      response.writeHead(200, { 'content-type': 'application/json' });
      response.end('{\r\n  "jsonrpc": "2.0",\n  "id": 1,\n  "result": { "text": "a\\nb" }\n}\n');
    });
    const answer = await post(alice, toolCall(1, 'pay'));
    gateway.approvals.approve((await gateway.approvals.next()).id);
    expect(await answer.rest()).toEqual([{ jsonrpc: '2.0', id: 1, result: { text: 'a\nb' } }]);
  });

  test('makes one event of a long JSON answer that comes in pieces, with every character whole', async () => {
    const text = 'ä€😀\n'.repeat(40_000);
    const { gateway, alice } = await setUp((_message, response) => {
      response.writeHead(200, { 'content-type': 'application/json' });
      const body = Buffer.from(`{\n"jsonrpc":"2.0",\n"id":1,\n"result":{"text":\n${JSON.stringify(text)}}}\n`);
      for (let at = 0; at < body.length; at += 9_973) response.write(body.subarray(at, at + 9_973));
      response.end();
    });
    const answer = await post(alice, toolCall(1, 'pay'));
    gateway.approvals.approve((await gateway.approvals.next()).id);
    expect(await answer.rest()).toEqual([{ jsonrpc: '2.0', id: 1, result: { text } }]);
  });

  test.each([
    ['an HTTP error', (_: Json, response: ServerResponse): void => void response.writeHead(500).end('oops'), -32603],
    ['a broken connection', (_: Json, response: ServerResponse): void => void response.destroy(), -32603],
    [
      'an error with a status of its own',
      ({ id }: Json, response: ServerResponse) => {
        response.writeHead(404, { 'content-type': 'application/json' });
        response.end(JSON.stringify({ jsonrpc: '2.0', id, error: { code: -32601, message: 'unknown' } }));
      },
      -32601,
    ],
  ] as const)('gets %s of the upstream as its last event', async (_name, onCall, code) => {
    const { gateway, alice } = await setUp(onCall);
    const answer = await post(alice, toolCall(1, 'pay'));
    gateway.approvals.approve((await gateway.approvals.next()).id);
    expect(await answer.rest()).toMatchObject([{ id: 1, error: { code } }]);
  });

  test('over stdio is answered in its stream, after what the upstream says before', async () => {
    const { gateway, alice } = await behind(fakeUpstream({}, { era: 'legacy' }));
    const session = await openSession(alice);
    const answer = await post(session, toolCall(1, 'progress', { steps: 2 }, { _meta: { progressToken: 5 } }));
    gateway.approvals.approve((await gateway.approvals.next()).id);
    const messages = await answer.rest();
    const progress = messages.slice(0, -1).map(({ params }) => (params as { progress: number }).progress);
    expect(progress).toEqual([-50, 1, 2]);
    expect(messages.at(-1)).toMatchObject({ id: 1, result: {} });
  });

  test('over stdio gets the failure of its upstream as the last event', async () => {
    const { gateway, alice } = await behind(fakeUpstream({}, { era: 'legacy' }));
    const answer = await post(await openSession(alice), toolCall(1, 'crash'));
    gateway.approvals.approve((await gateway.approvals.next()).id);
    expect(await answer.rest()).toMatchObject([{ id: 1, error: { code: -32603 } }]);
  });

  test('over SSE is answered in its stream', async () => {
    const everything = await serveEverything('sse');
    cleanUps.push(everything.stop);
    const { gateway, alice } = await behind(upstreamOf({ kind: 'sse', url: everything.url, sharing: 'per_principal' }));
    const answer = await post(await openSession(alice), toolCall(1, 'echo', { message: 'hi' }));
    gateway.approvals.approve((await gateway.approvals.next()).id);
    expect(await answer.rest()).toMatchObject([{ id: 1, result: { content: [{ text: 'Echo: hi' }] } }]);
  });

  test('is denied with the reason that a human gave, and is not asked about again', async () => {
    const { upstream, gateway, alice } = await setUp();
    const answer = await post(alice, toolCall(1, 'pay'));
    const { id } = await gateway.approvals.next();
    gateway.approvals.deny(id, 'Too much.');
    expect(await answer.rest()).toMatchObject([
      {
        id: 1,
        error: {
          code: -32001,
          message: 'The call was not approved: Too much.',
          data: { call_id: gateway.decisions[0]?.id, reason: 'approval_denied', approval_id: id },
        },
      },
    ]);
    expect([upstream.calls.length, gateway.approvals.all().length]).toEqual([0, 1]);
  });

  test('is refused when its approval expires', async () => {
    const { gateway, alice } = await setUp(sayDone, { era: 'modern' });
    const answer = await postModern(alice, toolCall(1, 'pay'));
    gateway.approvals.expire((await gateway.approvals.next()).id);
    expect(await answer.rest()).toMatchObject([{ error: { code: -31001, data: { reason: 'approval_expired' } } }]);
  });

  test('is answered as an error when nobody decides in time, and takes the same approval when it comes again', async () => {
    const { upstream, gateway, alice } = await setUp(sayDone, { holdTimeoutMs: 50 });
    const answer = await post(alice, toolCall(1, 'pay'));
    const { id } = await gateway.approvals.next();
    expect(await answer.rest()).toMatchObject([{ error: { code: -32002, data: { approval_id: id } } }]);
    gateway.approvals.approve(id);
    expect(await (await post(alice, toolCall(2, 'pay'))).rest()).toEqual([done(2)]);
    expect([upstream.calls.length, gateway.approvals.all().length]).toEqual([1, 1]);
  });

  test('stops waiting when its client goes away, and leaves the approval for a retry', async () => {
    const { upstream, gateway, alice } = await setUp();
    const answer = await post(alice, toolCall(1, 'pay'));
    const { id } = await gateway.approvals.next();
    await vi.waitFor(() => expect(gateway.approvals.waiting()).toBe(1));
    answer.leave();
    await answer.rest().catch(() => {});
    await vi.waitFor(() => expect(gateway.approvals.waiting()).toBe(0));
    gateway.approvals.approve(id);
    expect(await (await post(alice, toolCall(2, 'pay'))).rest()).toEqual([done(2)]);
    expect(upstream.calls).toHaveLength(1);
  });

  test('stops waiting when the client cancels it, which the upstream never hears of', async () => {
    const { upstream, gateway, alice } = await setUp(sayDone, { sessionId: 's' });
    const session = await openSession(alice);
    const other = await openSession(alice);
    const answer = await post(session, toolCall(1, 'pay'));
    const { id } = await gateway.approvals.next();
    await vi.waitFor(() => expect(gateway.approvals.waiting()).toBe(1));
    const cancel = { jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 1 } };
    const elsewhere = await post(other, cancel);
    const asText = await post(session, { ...cancel, params: { requestId: '1' } });
    expect(gateway.approvals.waiting()).toBe(1);
    const cancelled = await post(session, cancel);
    expect([elsewhere.status, asText.status, cancelled.status]).toEqual([202, 202, 202]);
    expect(await answer.rest()).toEqual([]);
    expect(upstream.others.map(({ params }) => params)).toEqual([{ requestId: 1 }, { requestId: '1' }]);
    expect((await gateway.approvals.get(principalOf('alice').projectId, id))?.state).toBe('pending');
  });

  test('is answered when the gateway stops', async () => {
    const { gateway, alice } = await setUp();
    const answer = await post(alice, toolCall(1, 'pay'));
    const { id } = await gateway.approvals.next();
    await vi.waitFor(() => expect(gateway.approvals.waiting()).toBe(1));
    gateway.beginStop();
    expect(await answer.rest()).toMatchObject([{ error: { code: -32002, data: { approval_id: id } } }]);
  });

  test('ends when its caller may not call any more, approved or not', async () => {
    const { upstream, gateway, alice } = await setUp();
    const suspended = await post(alice, toolCall(1, 'pay'));
    await gateway.approvals.next();
    gateway.setPrincipal('alice', principalOf('alice', { agentState: 'suspended' }));
    expect(await suspended.rest()).toMatchObject([{ error: { code: -32001, data: { reason: 'permission_denied' } } }]);
    gateway.setPrincipal('alice', principalOf('alice'));
    const approved = await post(alice, toolCall(2, 'pay'));
    gateway.setPrincipal('alice', principalOf('alice', { agentState: 'revoked' }));
    gateway.approvals.approve(gateway.approvals.all()[0]?.id ?? '');
    expect(await approved.rest()).toMatchObject([{ error: { code: -32001, data: { reason: 'permission_denied' } } }]);
    expect(upstream.calls).toEqual([]);
  });

  test('goes to the upstream as it is configured by then', async () => {
    const moved = await serveByHand(sayDone, { era: 'legacy' });
    cleanUps.push(moved.stop);
    const { upstream, gateway, alice } = await setUp();
    const answer = await post(alice, toolCall(1, 'pay'));
    gateway.update({ transport: { kind: 'streamable_http', url: moved.url } });
    gateway.approvals.approve((await gateway.approvals.next()).id);
    expect(await answer.rest()).toEqual([done(1)]);
    expect([upstream.calls.length, moved.calls.length]).toEqual([0, 1]);
  });

  test('keeps the order of what its upstream says while the decision is being recorded', async () => {
    const upstream = fakeUpstream({}, { era: 'legacy', decisionCommit: 'before_answer' });
    const gateway = await startMcpGateway({ upstream, approval: { behavior: 'hold' }, recordMs: 400 });
    cleanUps.push(gateway.stop);
    const session = await openSession({ url: gateway.url, key: 'alice' });
    const answer = await post(session, toolCall(1, 'progress', { steps: 2 }, { _meta: { progressToken: 5 } }));
    gateway.approvals.approve((await gateway.approvals.next()).id);
    const messages = await answer.rest();
    expect(messages.slice(1, -1).map(({ params }) => params)).toMatchObject([{ progress: 1 }, { progress: 2 }]);
    expect(messages.at(-1)).toMatchObject({ id: 1, result: {} });
  });

  test('does not use up the approval when its client goes away as it is given', async () => {
    const { upstream, gateway, alice } = await setUp();
    const left = Promise.withResolvers<void>();
    const { wait } = gateway.approvals;
    Object.assign(gateway.approvals, {
      wait: async (id: ApprovalId, until: number, signal: AbortSignal) => {
        await new Promise((resolve) => signal.addEventListener('abort', resolve));
        gateway.approvals.approve(id);
        left.resolve();
        return wait(id, until, new AbortController().signal);
      },
    });
    const answer = await post(alice, toolCall(1, 'pay'));
    await gateway.approvals.next();
    answer.leave();
    await left.promise;
    expect(await (await post(alice, toolCall(2, 'pay'))).rest()).toEqual([done(2)]);
    expect([upstream.calls.length, gateway.approvals.all().length]).toEqual([1, 1]);
  });

  test('of two that wait for one approval only one goes through', async () => {
    const { upstream, gateway, alice } = await setUp();
    const first = await post(alice, toolCall(1, 'pay'));
    const { id } = await gateway.approvals.next();
    const second = await post(alice, toolCall(2, 'pay'));
    await vi.waitFor(() => expect(gateway.approvals.waiting()).toBe(2));
    gateway.approvals.approve(id);
    const answers = [...(await first.rest()), ...(await second.rest())];
    expect(answers.filter((message) => 'result' in message)).toHaveLength(1);
    expect(answers.filter((message) => 'error' in message)).toHaveLength(1);
    expect(upstream.calls).toHaveLength(1);
  });
});
