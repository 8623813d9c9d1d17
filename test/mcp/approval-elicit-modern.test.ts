import type { ServerResponse } from 'node:http';
import { afterEach, describe, expect, test, vi } from 'vitest';
import type { ApprovalSettings } from '../../src/domain/policy.ts';
import { type Json, postModern, toolCall } from './mcp-client.ts';
import { type McpGateway, startMcpGateway } from './mcp-gateway.ts';
import { answerJson, serveByHand } from './upstreams.ts';

const cleanUps: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).toReversed()) {
    await cleanUp();
  }
});

const canOpenUrls = { elicitation: { url: {} } };
const complete = { resultType: 'complete', content: [] };
const sayDone = ({ id }: Json, response: ServerResponse) => answerJson(response, { id, result: complete });

async function setUp(approval: Partial<ApprovalSettings> = {}, onCall = sayDone) {
  const upstream = await serveByHand(onCall, { era: 'modern' });
  const gateway = await startMcpGateway({ upstream: upstream.upstream, approval: { behavior: 'elicit', ...approval } });
  cleanUps.push(upstream.stop, gateway.stop);
  return { upstream, gateway, url: gateway.url };
}

interface Round {
  readonly inputRequests?: Json;
  readonly requestState: string;
}

/** Makes a call and returns the one message it was answered with. */
async function call(url: string, id: number, args: Json, more: Json = {}, key = 'alice'): Promise<Json> {
  const answer = await postModern({ url, key }, toolCall(id, 'pay', args, more), canOpenUrls);
  const messages = await answer.rest();
  expect(messages).toHaveLength(1);
  return messages[0] as Json;
}

const roundOf = (message: Json) => message['result'] as Round;
const answered = (round: Round, action: string) => ({
  requestState: round.requestState,
  inputResponses: { portcullis_approval: { action } },
});

async function firstRound(gateway: McpGateway, more: Json = {}) {
  const round = roundOf(await call(gateway.url, 1, { amount: 5 }, more));
  return { round, approval: await gateway.approvals.next() };
}

describe('a modern client that can open URLs', () => {
  test('is answered with the request to open the approval page, and with a state that nobody can read', async () => {
    const { gateway, url } = await setUp();
    const message = await call(url, 1, { amount: 5 });
    const approval = await gateway.approvals.next();
    expect(message).toEqual({
      jsonrpc: '2.0',
      id: 1,
      result: {
        resultType: 'input_required',
        inputRequests: {
          portcullis_approval: {
            method: 'elicitation/create',
            params: {
              mode: 'url',
              url: `https://gateway.test/approvals/${approval.id}`,
              message: expect.stringContaining("The call of 'pay' at 'demo' waits for a human: Ask a human first."),
            },
          },
        },
        requestState: expect.stringMatching(/^portcullis-approval\.[\w.-]{100,}$/),
      },
    });
  });

  test('gets the error for a method that may not require input', async () => {
    const { gateway, url } = await setUp();
    const message = { jsonrpc: '2.0', id: 1, method: 'things/do', params: {} };
    const answer = await postModern({ url, key: 'alice' }, message, canOpenUrls);
    expect(await answer.rest()).toMatchObject([
      { error: { code: -31002, data: { approval_id: gateway.approvals.all()[0]?.id } } },
    ]);
  });

  test('is forwarded when it comes again after the approval, without what was meant for the gateway', async () => {
    const { upstream, gateway, url } = await setUp();
    const { round, approval } = await firstRound(gateway);
    gateway.approvals.approve(approval.id);
    expect(await call(url, 2, { amount: 5 }, answered(round, 'accept'))).toEqual({
      jsonrpc: '2.0',
      id: 2,
      result: complete,
    });
    const { params } = JSON.parse(upstream.calls[0] ?? '') as { params: Json };
    expect(Object.keys(params)).toEqual(['name', 'arguments', '_meta']);
    expect(gateway.decisions.map(({ effect, reason }) => [effect, reason])).toEqual([
      ['require_approval', 'rule'],
      ['allow', 'approval'],
    ]);
  });

  test('waits when it comes again before the approval', async () => {
    const { gateway, url } = await setUp();
    const { round, approval } = await firstRound(gateway);
    const second = call(url, 2, { amount: 5 }, answered(round, 'accept'));
    await vi.waitFor(() => expect(gateway.approvals.waiting()).toBe(1));
    gateway.approvals.approve(approval.id);
    expect(await second).toEqual({ jsonrpc: '2.0', id: 2, result: complete });
  });

  test('comes again and again without another question while nobody decides', async () => {
    const { gateway, url } = await setUp({ holdTimeoutMs: 50 });
    const { round, approval } = await firstRound(gateway);
    const second = roundOf(await call(url, 2, { amount: 5 }, answered(round, 'accept')));
    expect(second).toEqual({ resultType: 'input_required', requestState: expect.any(String) });
    const third = roundOf(await call(url, 3, { amount: 5 }, { requestState: second.requestState }));
    expect(third).toEqual({ resultType: 'input_required', requestState: expect.any(String) });
    gateway.approvals.approve(approval.id);
    const fourth = await call(url, 4, { amount: 5 }, { requestState: third.requestState });
    expect(fourth).toEqual({ jsonrpc: '2.0', id: 4, result: complete });
    expect(gateway.approvals.all()).toHaveLength(1);
  });

  test('is asked once more when it comes again without an answer', async () => {
    const { gateway, url } = await setUp();
    const { round } = await firstRound(gateway);
    const second = roundOf(await call(url, 2, { amount: 5 }, { requestState: round.requestState }));
    expect(Object.keys(second.inputRequests ?? {})).toEqual(['portcullis_approval']);
    expect(gateway.approvals.all()).toHaveLength(1);
  });

  test.each(['decline', 'cancel'])('ends the approval with the answer %s', async (action) => {
    const { upstream, gateway, url } = await setUp();
    const { round, approval } = await firstRound(gateway);
    expect(await call(url, 2, { amount: 5 }, answered(round, action))).toMatchObject({
      error: { code: -31001, data: { reason: 'approval_denied', approval_id: approval.id } },
    });
    expect(gateway.approvals.all().map(({ state }) => state)).toEqual(['denied']);
    expect(gateway.decisions.map(({ effect, reason }) => [effect, reason])).toEqual([
      ['require_approval', 'rule'],
      ['deny', 'approval'],
    ]);
    expect(upstream.calls).toEqual([]);
  });

  test('does not get through with the answer decline, even when a human approved', async () => {
    const { upstream, gateway, url } = await setUp();
    const { round, approval } = await firstRound(gateway);
    gateway.approvals.approve(approval.id);
    expect(await call(url, 2, { amount: 5 }, answered(round, 'decline'))).toMatchObject({ error: { code: -31001 } });
    expect(upstream.calls).toEqual([]);
  });

  test.each(['deny', 'expire'] as const)(
    'is refused when it comes again after %s, and no other approval is asked for',
    async (end) => {
      const { gateway, url } = await setUp();
      const { round, approval } = await firstRound(gateway);
      gateway.approvals[end](approval.id);
      const message = await call(url, 2, { amount: 5 }, answered(round, 'accept'));
      const reason = end === 'deny' ? 'approval_denied' : 'approval_expired';
      expect(message).toMatchObject({ error: { code: -31001, data: { reason, approval_id: approval.id } } });
      expect(gateway.decisions.at(-1)).toMatchObject({
        effect: 'deny',
        reason: 'approval',
        approvalId: approval.id,
        argumentsJson: '{"amount":5}',
      });
      expect(gateway.approvals.all()).toHaveLength(1);
    },
  );

  test('is refused while it waits', async () => {
    const { gateway, url } = await setUp();
    const { round, approval } = await firstRound(gateway);
    const second = call(url, 2, { amount: 5 }, answered(round, 'accept'));
    await vi.waitFor(() => expect(gateway.approvals.waiting()).toBe(1));
    gateway.approvals.deny(approval.id, 'No.');
    expect(await second).toMatchObject({ error: { code: -31001, message: 'The call was not approved: No.' } });
  });

  test('is asked anew once the approval was used', async () => {
    const { upstream, gateway, url } = await setUp();
    const { round, approval } = await firstRound(gateway);
    gateway.approvals.approve(approval.id);
    await call(url, 2, { amount: 5 }, answered(round, 'accept'));
    const again = roundOf(await call(url, 3, { amount: 5 }, answered(round, 'accept')));
    expect(Object.keys(again.inputRequests ?? {})).toEqual(['portcullis_approval']);
    expect([upstream.calls.length, gateway.approvals.all().length]).toEqual([1, 2]);
  });

  test('goes on with its state at another replica', async () => {
    const { upstream, gateway } = await setUp();
    const replica = await startMcpGateway({
      upstream: upstream.upstream,
      approval: { behavior: 'elicit' },
      replicaOf: gateway,
    });
    cleanUps.push(replica.stop);
    const { round, approval } = await firstRound(gateway);
    gateway.approvals.approve(approval.id);
    expect(await call(replica.url, 2, { amount: 5 }, answered(round, 'accept'))).toMatchObject({ result: complete });
  });

  test('is sent to another replica when this one stops', async () => {
    const { gateway, url } = await setUp();
    const { round } = await firstRound(gateway);
    const second = call(url, 2, { amount: 5 }, answered(round, 'accept'));
    await vi.waitFor(() => expect(gateway.approvals.waiting()).toBe(1));
    gateway.beginStop();
    expect(roundOf(await second)).toEqual({ resultType: 'input_required', requestState: expect.any(String) });
  });
});

describe('the state that a modern client brings back', () => {
  test.each([
    ['with other arguments', { amount: 6 }, 'alice'],
    ['by another principal', { amount: 5 }, 'mallory'],
  ])('is refused %s', async (_name, args, key) => {
    const { upstream, gateway, url } = await setUp();
    const { round, approval } = await firstRound(gateway);
    gateway.approvals.approve(approval.id);
    expect(await call(url, 2, args, answered(round, 'accept'), key)).toMatchObject({
      id: 2,
      error: { code: -32602, message: expect.stringContaining('requestState') },
    });
    expect([upstream.calls.length, gateway.approvals.all().length]).toEqual([0, 1]);
  });

  test('is refused for another tool', async () => {
    const { gateway, url } = await setUp();
    const { round } = await firstRound(gateway);
    const message = toolCall(2, 'refund', { amount: 5 }, answered(round, 'accept'));
    const answer = await postModern({ url, key: 'alice' }, message, canOpenUrls);
    expect(await answer.rest()).toMatchObject([{ error: { code: -32602 } }]);
  });

  test.each(['opaque', 'portcullis-approval.eyJhbGciOiJkaXIifQ..a.b.c'])(
    'passes untouched when it is the upstream’s: %s',
    async (requestState) => {
      const { upstream, gateway, url } = await setUp({ behavior: 'error' });
      const more = { requestState, inputResponses: { theirs: { action: 'accept' }, portcullis_approval: { a: 1 } } };
      await call(url, 1, { amount: 5 }, more);
      gateway.approvals.approve((await gateway.approvals.next()).id);
      await call(url, 2, { amount: 5 }, more);
      const { params } = JSON.parse(upstream.calls[0] ?? '') as { params: Json };
      expect(params).toMatchObject(more);
    },
  );

  test('is none of the gateway’s when it is the id of a question to a legacy client', async () => {
    const { upstream, gateway, url } = await setUp({ behavior: 'error' });
    const question = { kind: 'question', approvalId: 'a', principalId: 'alice', upstreamId: 'upstream-1' };
    const requestState = `portcullis-approval.${await gateway.box.seal('approval', JSON.stringify(question))}`;
    await call(url, 1, { amount: 5 }, { requestState });
    gateway.approvals.approve((await gateway.approvals.next()).id);
    await call(url, 2, { amount: 5 }, { requestState });
    expect(JSON.parse(upstream.calls[0] ?? '')).toMatchObject({ params: { requestState } });
  });

  test('carries the upstream’s own state and the answers to its questions through the rounds', async () => {
    const { upstream, gateway, url } = await setUp({ holdTimeoutMs: 50 });
    const theirs = { requestState: 'opaque', inputResponses: { name: { action: 'accept', content: { n: 1 } } } };
    const { round, approval } = await firstRound(gateway, theirs);
    const second = roundOf(await call(url, 2, { amount: 5 }, answered(round, 'accept')));
    gateway.approvals.approve(approval.id);
    await call(url, 3, { amount: 5 }, { requestState: second.requestState });
    const { params } = JSON.parse(upstream.calls[0] ?? '') as { params: Json };
    expect(params).toMatchObject(theirs);
    expect(Object.keys(params['inputResponses'] as Json)).toEqual(['name']);
  });

  test('leaves every number of the request as it was written', async () => {
    const { upstream, gateway, url } = await setUp();
    const big = JSON.rawJSON('12345678901234567890');
    const theirs = { requestState: 'opaque', inputResponses: { id: { action: 'accept', content: { id: big } } } };
    const first = roundOf(await call(url, 1, { amount: big, rate: JSON.rawJSON('1.10e2') }, theirs));
    gateway.approvals.approve((await gateway.approvals.next()).id);
    await call(url, 2, { amount: big, rate: JSON.rawJSON('1.10e2') }, answered(first, 'accept'));
    expect(upstream.calls[0]).toContain('"arguments":{"amount":12345678901234567890,"rate":1.10e2}');
    expect(upstream.calls[0]).toContain('"content":{"id":12345678901234567890}');
  });

  test('fits a call too long to be read exactly, whose digest covers its arguments as written', async () => {
    const { upstream, gateway, url } = await setUp();
    const args = { amount: JSON.rawJSON('12345678901234567890'), text: 'x'.repeat(70_000) };
    const first = roundOf(await call(url, 1, args));
    gateway.approvals.approve((await gateway.approvals.next()).id);
    expect(await call(url, 2, args, answered(first, 'accept'))).toMatchObject({ result: complete });
    expect(upstream.calls[0]).toContain('"amount":12345678901234567890');
  });

  test('is not given when it would be too long: the client gets the error', async () => {
    const { gateway, url } = await setUp();
    const message = await call(url, 1, { amount: 5 }, { requestState: 'x'.repeat(70_000) });
    expect(message).toMatchObject({
      error: { code: -31002, data: { approval_id: gateway.approvals.all()[0]?.id } },
    });
  });
});
