import type { ServerResponse } from 'node:http';
import { afterEach, describe, expect, test, vi } from 'vitest';
import type { ApprovalSettings } from '../../src/domain/policy.ts';
import type { Upstream } from '../../src/domain/upstream.ts';
import { fakeUpstream } from '../upstream/stdio.ts';
import { type Caller, type Json, openSession, type Posted, post, toolCall } from './mcp-client.ts';
import { type McpGateway, startMcpGateway } from './mcp-gateway.ts';
import { answerJson, serveByHand } from './upstreams.ts';

const cleanUps: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).toReversed()) {
    await cleanUp();
  }
});

const canOpenUrls = { elicitation: { url: {} } };
const sayDone = ({ id }: Json, response: ServerResponse) => answerJson(response, { id, result: { content: [] } });
const done = (id: string | number) => ({ jsonrpc: '2.0', id, result: { content: [] } });

async function start(upstream: Upstream, approval: Partial<ApprovalSettings> = {}, replicaOf?: McpGateway) {
  const gateway = await startMcpGateway({
    upstream,
    approval: { behavior: 'elicit', ...approval },
    ...(replicaOf === undefined ? {} : { replicaOf }),
  });
  cleanUps.push(gateway.stop);
  return gateway;
}

async function setUp(approval: Partial<ApprovalSettings> = {}, sessionId: string | undefined = 'upstream-session') {
  const upstream = await serveByHand(sayDone, {
    era: 'legacy',
    ...(sessionId === undefined || sessionId === '' ? {} : { sessionId }),
  });
  cleanUps.push(upstream.stop);
  const gateway = await start(upstream.upstream, approval);
  const alice = await openSession({ url: gateway.url, key: 'alice' }, canOpenUrls);
  return { upstream, gateway, alice };
}

/** A call that has asked its client to open the page. */
async function elicited(caller: Caller, id = 1): Promise<{ answer: Posted; question: Json }> {
  const answer = await post(caller, toolCall(id, 'pay', { amount: 5 }));
  return { answer, question: (await answer.next()) ?? {} };
}

const reply = (question: Json, action: string) => ({ jsonrpc: '2.0', id: question['id'], result: { action } });

describe('a legacy client that can open URLs', () => {
  test('is asked to open the approval page on the response of its call, and told when that is done', async () => {
    const { upstream, gateway, alice } = await setUp();
    const { answer, question } = await elicited(alice);
    const approval = await gateway.approvals.next();
    const until = new Date(approval.expireTime).toISOString();
    expect(question).toEqual({
      jsonrpc: '2.0',
      id: expect.stringMatching(/^portcullis-approval\.[\w.-]{100,}$/),
      method: 'elicitation/create',
      params: {
        mode: 'url',
        elicitationId: approval.id,
        url: `https://gateway.test/approvals/${approval.id}`,
        message:
          "The call of 'pay' at 'demo' waits for a human: Ask a human first. Open the page to see the call; " +
          `who may approve it can do so there until ${until}.`,
      },
    });
    const accepted = await post(alice, reply(question, 'accept'));
    expect([accepted.status, await accepted.rest()]).toEqual([202, []]);
    gateway.approvals.approve(approval.id);
    expect(await answer.rest()).toEqual([
      { jsonrpc: '2.0', method: 'notifications/elicitation/complete', params: { elicitationId: approval.id } },
      done(1),
    ]);
    expect(upstream.others.filter((message) => 'result' in message)).toEqual([]);
  });

  test.each([
    ['decline', "Declined in the requester's client."],
    ['cancel', "Dismissed in the requester's client."],
  ])('ends its call and the approval when its user answers %s', async (action, comment) => {
    const { upstream, gateway, alice } = await setUp();
    const { answer, question } = await elicited(alice);
    const declined = await post(alice, reply(question, action));
    expect(declined.status).toBe(202);
    expect((await answer.rest()).at(-1)).toMatchObject({
      error: { code: -32001, message: `The call was not approved: ${comment}`, data: { reason: 'approval_denied' } },
    });
    expect([gateway.approvals.all()[0]?.state, upstream.calls.length]).toEqual(['denied', 0]);
  });

  test('may give its answer to another replica', async () => {
    const { upstream, gateway, alice } = await setUp();
    const replica = await start(upstream.upstream, {}, gateway);
    const { answer, question } = await elicited(alice);
    const declined = await post({ ...alice, url: replica.url }, reply(question, 'decline'));
    expect(declined.status).toBe(202);
    expect((await answer.rest()).at(-1)).toMatchObject({ error: { code: -32001 } });
    expect(upstream.others).toEqual([]);
  });

  test('cannot answer what another principal was asked', async () => {
    const { upstream, gateway, alice } = await setUp();
    const { answer, question } = await elicited(alice);
    const mallory = await openSession({ url: gateway.url, key: 'mallory' }, canOpenUrls);
    const refused = await post(mallory, reply(question, 'decline'));
    expect(refused.status).toBe(400);
    expect(gateway.approvals.all()[0]?.state).toBe('pending');
    gateway.approvals.approve(gateway.approvals.all()[0]?.id ?? '');
    expect((await answer.rest()).at(-1)).toEqual(done(1));
    expect(upstream.others).toEqual([]);
  });

  test('reaches its upstream with answers that only look like those to the gateway', async () => {
    const { upstream, alice } = await setUp();
    const id = 'portcullis-approval.eyJhbGciOiJkaXIifQ..a.b.c';
    const passed = await post(alice, { jsonrpc: '2.0', id, result: { action: 'decline' } });
    expect(passed.status).toBe(202);
    expect(upstream.others).toEqual([{ jsonrpc: '2.0', id, result: { action: 'decline' } }]);
  });

  test('is answered as an error when its time is over, and goes on waiting when it cannot show the page', async () => {
    const { gateway, alice } = await setUp({ holdTimeoutMs: 300 });
    const { answer, question } = await elicited(alice);
    const error = { code: -32603, message: 'no browser' };
    const failed = await post(alice, { jsonrpc: '2.0', id: question['id'], error });
    expect(failed.status).toBe(202);
    expect(await answer.rest()).toMatchObject([
      { error: { code: -32002, data: { approval_id: gateway.approvals.all()[0]?.id } } },
    ]);
  });

  test('is asked behind an upstream without sessions too, which never sees the session', async () => {
    const { upstream, gateway, alice } = await setUp({}, '');
    expect(alice.sessionId).toEqual(expect.any(String));
    const { answer } = await elicited(alice);
    gateway.approvals.approve((await gateway.approvals.next()).id);
    expect((await answer.rest()).at(-1)).toEqual(done(1));
    expect(gateway.decisions.map(({ session }) => session)).toEqual([expect.any(String), expect.any(String)]);
    expect(upstream.sessionIds).toEqual([undefined]);
  });

  test('is asked in front of a stdio upstream too', async () => {
    const gateway = await start(fakeUpstream({}, { era: 'legacy' }));
    const alice = await openSession({ url: gateway.url, key: 'alice' }, canOpenUrls);
    const answer = await post(alice, toolCall(1, 'echo', { text: 'hi' }));
    const question = (await answer.next()) ?? {};
    expect(question).toMatchObject({ method: 'elicitation/create', params: { mode: 'url' } });
    expect((await post(alice, reply(question, 'accept'))).status).toBe(202);
    gateway.approvals.approve((await gateway.approvals.next()).id);
    expect((await answer.rest()).at(-1)).toMatchObject({ id: 1, result: { text: 'hi' } });
  });
});

test.each([{}, { elicitation: {} }, { elicitation: { form: {} } }, { elicitation: { url: true } }])(
  'a legacy client with the capabilities %j is not asked to open a URL',
  async (capabilities) => {
    const { gateway } = await setUp();
    const plain = await openSession({ url: gateway.url, key: 'alice' }, capabilities);
    const answer = await post(plain, toolCall(1, 'pay'));
    expect(answer.contentType).toBe('application/json');
    expect(await answer.rest()).toMatchObject([{ error: { code: -32002 } }]);
    await vi.waitFor(() => expect(gateway.approvals.waiting()).toBe(0));
  },
);
