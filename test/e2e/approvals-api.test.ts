import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Approval, ApprovalState } from '../../gen/portcullis/v1/approval_pb.ts';
import { DecisionReason } from '../../gen/portcullis/v1/decision_pb.ts';
import { Effect } from '../../gen/portcullis/v1/policy_rule_pb.ts';
import { type PortcullisError } from '../../sdk/src/errors.ts';
import { createApiKey } from '../../src/authn/api-key.ts';
import type { GatewayProcess } from '../support/gateway-process.ts';
import { type ApprovalWorld, createApprovalWorld, freshArguments } from './support-approvals.ts';
import { createCleanUp } from './support-clean-up.ts';
import { callerOf, post, toolCall } from './support-mcp-session.ts';
import { policyOf, requireApproval, sdkOf, slugRef } from './support-policies.ts';
import { addKey, addUser, type Caller } from './support-principals.ts';
import { replicaEnv } from './support-replicas.ts';

const { PENDING, APPROVED, DENIED, EXPIRED, CONSUMED } = ApprovalState;
const cleanUp = createCleanUp();

/** The caller's replica, and the one on which people answer. */
let first: GatewayProcess;
let second: GatewayProcess;
let world: ApprovalWorld;
let database: pg.Client;

beforeAll(async () => {
  const env: Record<string, string> = { ...(await replicaEnv()), GATEWAY_DEMO_UPSTREAM: 'false' };
  const apiKey = createApiKey();
  const start = () => cleanUp.startGateway({ env, apiKey });
  [first, second] = await Promise.all([start(), start()]);
  database = new pg.Client(env['GATEWAY_DATABASE_URL']);
  await cleanUp.add(database.connect(), () => database.end());

  world = await createApprovalWorld(cleanUp, [first, second], () => ({ act: {}, pay: {} }));
});

afterAll(cleanUp.run);

const as = ({ apiKey }: Pick<Caller, 'apiKey'>, gateway = first) => sdkOf(gateway, apiKey);

const approve = (id: string, who: Caller = world.approvers.ann, at = second) =>
  as(who, at).approvals.approveCall({ id, comment: 'Fine.' });

const approvalOf = async (id: string) => (await world.operator.approvals.getApproval({ id })).approval as Approval;

/** Lets an approval's time pass, which takes a minute at least. */
const expire = (id: string) =>
  database.query('update approvals set expire_time = $2 where id = $1', [id, Date.now() - 1]);

describe('an approved call', () => {
  test('[I3-APPROVE] goes through once, and the record says who approved it, why, and which call used it', async () => {
    const args = { ...freshArguments(), password: 'hunter2', order: 'A-1' };
    const refused = (await world.call(args)) as PortcullisError;
    expect(refused).toMatchObject({
      reason: 'approval_required',
      metadata: { rule: 'ask-act/r', approval_state: 'pending', call_id: expect.stringMatching(/^[0-9a-f-]{36}$/) },
    });
    const { approval_id: id = '', call_id: callId, expires_at: expiresAt = '' } = refused.metadata;
    expect(Date.parse(expiresAt) - Date.now()).toBeGreaterThan(3_590_000);
    expect(Date.parse(expiresAt) - Date.now()).toBeLessThanOrEqual(3_600_000);
    expect(await approvalOf(id)).toMatchObject({
      state: PENDING,
      callId,
      requester: { id: world.caller.id, name: 'caller', apiKeyId: world.caller.apiKeyId },
      upstreamSlug: 'shop',
      method: 'tools/call',
      tool: 'act',
      argumentsJson: `{"call":${args.call},"password":"[redacted]","order":"A-1"}`,
      argumentsRedacted: true,
      argumentsDigest: expect.stringMatching(/^sha256:[0-9a-f]{64}$/),
      ruleIds: ['ask-act/r'],
      requirements: [{ policySlug: 'ask-act', policyVersion: 1, requiredApprovals: 1, allowSelfApproval: false }],
    });
    await approve(id);
    expect(world.forwarded(args)).toBe(0);

    expect(await world.call(args)).toBe('passed');
    expect(world.forwarded(args)).toBe(1);
    const used = await approvalOf(id);
    expect(used).toMatchObject({
      state: CONSUMED,
      votes: [{ principalId: world.approvers.ann.id, name: 'ann', approved: true, comment: 'Fine.' }],
    });
    expect((await world.operator.decisions.getDecision({ id: used.consumeCallId })).decision).toMatchObject({
      effect: Effect.ALLOW,
      reason: DecisionReason.APPROVAL,
      ruleIds: ['ask-act/r'],
      policies: [{ slug: 'ask-act', version: 1 }],
      approvalId: id,
    });
  });

  test('[I3-RETRY-TWICE] is refused the second time, and asks anew', async () => {
    const args = freshArguments();
    const id = await world.ask(args);
    expect(await world.ask(args)).toBe(id);
    await approve(id);
    expect(await world.call(args)).toBe('passed');
    expect(await world.ask(args)).not.toBe(id);
    expect(world.forwarded(args)).toBe(1);
  });

  test('[I3-RETRY-TWICE] made 32 times at once at two replicas goes through once', async () => {
    const args = freshArguments();
    await approve(await world.ask(args));
    const answers = await Promise.all(
      Array.from({ length: 32 }, (_, index) => world.call(args, { at: index % 2 === 0 ? first : second })),
    );
    expect(answers.filter((answer) => answer === 'passed')).toHaveLength(1);
    expect(world.forwarded(args)).toBe(1);
  });

  test('[I3-CHANGED-ARGUMENT] is refused with other arguments, and goes through with the same in another order', async () => {
    const args = { ...freshArguments(), amount: 100, to: 'ann' };
    const id = await world.ask(args);
    await approve(id);
    const changed = [
      { ...args, amount: 101 },
      { ...args, amount: '100' },
      { ...args, to: 'Ann' },
      { ...args, more: 1 },
      { call: args.call, amount: 100 },
      {},
    ];
    for (const other of changed) {
      expect(await world.ask(other)).not.toBe(id);
    }
    expect(world.forwarded(args)).toBe(0);
    expect(await approvalOf(id)).toMatchObject({ state: APPROVED });
    expect(await world.call({ to: 'ann', amount: 100.0, call: args.call })).toBe('passed');
  });

  test('[I3-CHANGED-ARGUMENT] is refused over MCP with a number that only differs beyond what a double holds', async () => {
    const mcp = callerOf(first, 'shop', world.caller.apiKey);
    const askFor = async (digits: string) => {
      const args = { ...freshArguments(), account: 0 };
      const message = toolCall(1, 'act', { ...args, account: JSON.rawJSON(digits) });
      return {
        message,
        answer: (await post(mcp, message)).messages[0] as { error?: { data: Record<string, unknown> } },
      };
    };
    const { answer, message } = await askFor('12345678901234567890');
    await approve(String(answer.error?.data['approval_id']));
    const other = structuredCloneOf(message, '12345678901234567891');
    expect((await post(mcp, other)).messages).toMatchObject([{ error: { code: -32002 } }]);
    expect((await post(mcp, message)).messages).toMatchObject([{ result: {} }]);
  });

  test('[I3-OTHER-PRINCIPAL] is refused for another principal, tool and upstream, and goes through with another key of the caller', async () => {
    const args = freshArguments();
    const id = await world.ask(args);
    await approve(id);
    const stranger = await addUser(world.operator, 'stranger');
    expect(await world.ask(args, { who: stranger })).not.toBe(id);
    expect(await world.ask(args, { who: world.approvers.ann })).not.toBe(id);
    expect(await world.ask(args, { upstream: 'outlet' })).not.toBe(id);
    expect(await world.ask(args, { tool: 'pay' })).not.toBe(id);
    expect(world.forwarded(args)).toBe(0);
    const otherKey = await addKey(world.operator, world.caller.id);
    expect(await world.call(args, { who: otherKey })).toBe('passed');
  });

  test('[I3-APPROVAL-VERSION] is asked for again when the policy has changed since', async () => {
    await world.operator.policies.createPolicy({
      slug: 'ask-changing',
      content: policyOf('changing', requireApproval),
    });
    const args = freshArguments();
    const id = await world.ask(args, { tool: 'changing' });
    await approve(id);
    const content = policyOf('changing', requireApproval, { approval: { requiredApprovals: 2 } });
    await world.operator.policies.updatePolicy({
      policy: slugRef('ask-changing'),
      change: { case: 'content', value: content },
    });
    expect(await world.ask(args, { tool: 'changing' })).not.toBe(id);
    expect(world.forwarded(args)).toBe(0);
    expect(await approvalOf(id)).toMatchObject({ state: APPROVED });
  });
});

/** The message with another number, which a copy of the object could not keep. */
function structuredCloneOf(message: ReturnType<typeof toolCall>, digits: string) {
  const args = { ...message.params.arguments, account: JSON.rawJSON(digits) };
  return { ...message, params: { ...message.params, arguments: args } };
}

test('[I3-APPROVALS-BOUNDED] a call made 32 times at once at two replicas asks for one approval', async () => {
  const args = freshArguments();
  const ids = await Promise.all(
    Array.from({ length: 32 }, (_, index) => world.ask(args, { at: index % 2 === 0 ? first : second })),
  );
  expect(new Set(ids).size).toBe(1);
  await approve(ids[0] ?? '');
  expect([await world.call(args), world.forwarded(args)]).toEqual(['passed', 1]);
});

test('[I3-DENY] a denied call is refused, and whoever asks again waits for another answer', async () => {
  const args = freshArguments();
  const id = await world.ask(args);
  const { approval } = await as(world.approvers.ben, second).approvals.denyCall({ id, comment: 'Not today.' });
  expect(approval).toMatchObject({ state: DENIED, votes: [{ name: 'ben', approved: false, comment: 'Not today.' }] });
  await expect(approve(id)).rejects.toMatchObject({ reason: 'failed_precondition', metadata: { state: 'denied' } });
  expect(await world.ask(args)).not.toBe(id);
  expect(world.forwarded(args)).toBe(0);
});

describe('an approval that has expired', () => {
  test('[I3-EXPIRE] takes no answer', async () => {
    const args = freshArguments();
    const id = await world.ask(args);
    await expire(id);
    await expect(approve(id)).rejects.toMatchObject({ reason: 'failed_precondition', metadata: { state: 'expired' } });
    expect(await approvalOf(id)).toMatchObject({ state: EXPIRED, votes: [] });
    expect(await world.ask(args)).not.toBe(id);
  });

  test('[I3-EXPIRE] lets nothing through, although it was approved', async () => {
    const args = freshArguments();
    const id = await world.ask(args);
    await approve(id);
    await expire(id);
    expect(await world.ask(args)).not.toBe(id);
    expect(await approvalOf(id)).toMatchObject({ state: EXPIRED });
    expect(world.forwarded(args)).toBe(0);
  });
});
