import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Approval, ApprovalState } from '../../gen/portcullis/v1/approval_pb.ts';
import { DecisionReason } from '../../gen/portcullis/v1/decision_pb.ts';
import { Effect } from '../../gen/portcullis/v1/policy_rule_pb.ts';
import { Scope } from '../../gen/portcullis/v1/scope_pb.ts';
import { type PortcullisError } from '../../sdk/src/errors.ts';
import { createApiKey } from '../../src/authn/api-key.ts';
import type { GatewayProcess } from '../support/gateway-process.ts';
import { type ApprovalWorld, createApprovalWorld, freshArguments } from './support-approvals.ts';
import { createCleanUp } from './support-clean-up.ts';
import { sdkOf, slugRef } from './support-policies.ts';
import { addKey, addUser, type Caller } from './support-principals.ts';
import { replicaEnv } from './support-replicas.ts';

const { PENDING, APPROVED, DENIED } = ApprovalState;
const cleanUp = createCleanUp();

/** The caller's replica, and the one on which people answer. */
let first: GatewayProcess;
let second: GatewayProcess;
let world: ApprovalWorld;

beforeAll(async () => {
  const env: Record<string, string> = { ...(await replicaEnv()), GATEWAY_DEMO_UPSTREAM: 'false' };
  const apiKey = createApiKey();
  const start = () => cleanUp.startGateway({ env, apiKey });
  [first, second] = await Promise.all([start(), start()]);

  world = await createApprovalWorld(cleanUp, [first, second], (approverIds) => ({
    act: {},
    'two-of-three': { requiredApprovals: 2, approverIds },
    'self-service': { allowSelfApproval: true },
  }));
});

afterAll(cleanUp.run);

const as = ({ apiKey }: Pick<Caller, 'apiKey'>, gateway = first) => sdkOf(gateway, apiKey);

const approve = (id: string, who: Caller = world.approvers.ann, at = second) =>
  as(who, at).approvals.approveCall({ id, comment: 'Fine.' });

const approvalOf = async (id: string) => (await world.operator.approvals.getApproval({ id })).approval as Approval;

describe('who may answer', () => {
  test('[I3-TWO-APPROVERS] of two who answer at once on two replicas one wins, and the call goes as that one said', async () => {
    const { ann, ben } = world.approvers;
    for (let round = 0; round < 8; round++) {
      const args = freshArguments();
      const id = await world.ask(args);
      const [approved, denied] = await Promise.allSettled([
        approve(id, ann, first),
        as(ben, second).approvals.denyCall({ id }),
      ]);
      expect([approved.status, denied.status].sort()).toEqual(['fulfilled', 'rejected']);
      const isApproved = approved.status === 'fulfilled';
      const loser = isApproved ? denied : approved;
      const state = isApproved ? 'approved' : 'denied';
      expect(loser).toMatchObject({ reason: { reason: 'failed_precondition', metadata: { state } } });
      expect(await approvalOf(id)).toMatchObject({
        state: isApproved ? APPROVED : DENIED,
        votes: [{ name: isApproved ? 'ann' : 'ben' }],
      });
      const answer = await world.call(args);
      expect(answer === 'passed' ? answer : answer.reason).toBe(isApproved ? 'passed' : 'approval_required');
    }
  });

  test('[I3-SELF-APPROVAL] nobody answers for an own call, unless the policy allows it', async () => {
    const { ann, ben } = world.approvers;
    const own = await world.ask(freshArguments(), { who: ann });
    await expect(approve(own, ann)).rejects.toMatchObject({ reason: 'permission_denied' });
    const otherKey = await addKey(world.operator, ann.id, { scopes: [Scope.APPROVALS_DECIDE] });
    await expect(approve(own, otherKey, first)).rejects.toMatchObject({ reason: 'permission_denied' });
    await expect(
      as(ann).approvals.batchResolveApprovals({ resolutions: [{ id: own, approve: true }] }),
    ).rejects.toMatchObject({ reason: 'permission_denied' });
    expect(await approvalOf(own)).toMatchObject({ state: PENDING, votes: [] });
    await approve(own, ben);
    const args = freshArguments();
    await approve(await world.ask(args, { who: ann, tool: 'self-service' }), ann);
    expect(await world.call(args, { who: ann, tool: 'self-service' })).toBe('passed');
  });

  test('[I3-SELF-APPROVAL] nobody answers for what they had asked for an agent', async () => {
    const { ann, ben } = world.approvers;
    const request = { agent: slugRef('bot'), tool: 'act', arguments: freshArguments() };
    const { approvalId } = await as(ann).tools.authorize(request);
    await expect(approve(approvalId, ann)).rejects.toMatchObject({ reason: 'permission_denied' });
    await approve(approvalId, ben);
    expect(await as(ann).tools.authorize(request)).toMatchObject({ outcome: Effect.ALLOW });
  });

  test('[I3-APPROVERS] nobody answers without the scope, or for another project', async () => {
    const id = await world.ask(freshArguments());
    const stranger = await addUser(world.operator, 'stranger');
    for (const who of [world.caller, stranger]) {
      await expect(approve(id, who, first)).rejects.toMatchObject({ reason: 'permission_denied' });
    }
    await world.operator.projects.createProject({ slug: 'elsewhere' });
    const elsewhere = await addUser(world.operator, 'far', { project: 'elsewhere', scopes: [Scope.APPROVALS_DECIDE] });
    await expect(approve(id, elsewhere, first)).rejects.toMatchObject({ reason: 'permission_denied' });
    await expect(as(stranger).approvals.getApproval({ id })).rejects.toMatchObject({ reason: 'permission_denied' });
    expect((await as(stranger).approvals.listApprovals({})).approvals.map((one) => one.requester?.id)).not.toContain(
      world.caller.id,
    );
    expect((await as(world.caller).approvals.getApproval({ id })).approval).toMatchObject({
      state: PENDING,
      votes: [],
    });
  });

  test('[I3-N-OF-M] as many different ones as the policy asks for, of those that it names', async () => {
    const { ann, ben } = world.approvers;
    const dan = await addUser(world.operator, 'dan', { scopes: [Scope.APPROVALS_DECIDE] });
    const args = freshArguments();
    const id = await world.ask(args, { tool: 'two-of-three' });
    await expect(approve(id, dan, first)).rejects.toMatchObject({ reason: 'permission_denied' });
    expect((await approve(id, ann)).approval).toMatchObject({ state: PENDING });
    expect((await approve(id, ann, first)).approval).toMatchObject({ state: PENDING, votes: [{ name: 'ann' }] });
    expect(await world.ask(args, { tool: 'two-of-three' })).toBe(id);
    expect((await approve(id, ben)).approval).toMatchObject({
      state: APPROVED,
      votes: [{ name: 'ann' }, { name: 'ben' }],
    });
    expect(await world.call(args, { tool: 'two-of-three' })).toBe('passed');

    const other = await world.ask(freshArguments(), { tool: 'two-of-three' });
    await approve(other, ann);
    const { approval } = await as(world.approvers.cid).approvals.denyCall({ id: other });
    expect(approval).toMatchObject({ state: DENIED });
  });

  test('[I3-BATCH] several answers count together or not at all', async () => {
    const { ann, ben } = world.approvers;
    const argsOf = [freshArguments(), freshArguments(), freshArguments()] as const;
    const [one, two, three] = [
      await world.ask(argsOf[0]),
      await world.ask(argsOf[1]),
      await world.ask(argsOf[2]),
    ] as const;
    await as(ben).approvals.denyCall({ id: two });
    const resolve = (ids: string[]) =>
      as(ann, second).approvals.batchResolveApprovals({
        resolutions: ids.map((id) => ({ id, approve: true, comment: 'all' })),
      });
    await expect(resolve([one, two, three])).rejects.toMatchObject({
      reason: 'failed_precondition',
      metadata: { id: two, state: 'denied' },
    });
    expect([await approvalOf(one), await approvalOf(three)]).toMatchObject([
      { state: PENDING, votes: [] },
      { state: PENDING, votes: [] },
    ]);
    expect(await world.ask(argsOf[0])).toBe(one);
    const nobody = '01a1fcaa-6a25-7ea7-8a6a-f14c9037bcdc';
    await expect(resolve([one, nobody])).rejects.toMatchObject({ metadata: { id: nobody } });
    await expect(resolve([one, one])).rejects.toMatchObject({ reason: 'validation_failed' });
    const { approvals } = await resolve([three, one]);
    expect(approvals.map(({ id, state }) => [id, state])).toEqual([
      [three, APPROVED],
      [one, APPROVED],
    ]);
    expect([await world.call(argsOf[0]), await world.call(argsOf[2])]).toEqual(['passed', 'passed']);
  });
});

test('[I3-APPROVALS-BOUNDED] a caller has at most 100 pending approvals, however fast it asks', async () => {
  const flooder = await addUser(world.operator, 'flooder');
  const answers = await Promise.all(
    Array.from({ length: 120 }, (_, index) =>
      world.call(freshArguments(), { who: flooder, at: index % 2 === 0 ? first : second }),
    ),
  );
  expect(answers.filter((answer) => answer === 'passed')).toEqual([]);
  const filter = { state: PENDING, requesterId: flooder.id };
  const { approvals } = await world.operator.approvals.listApprovals({ filter, pageSize: 250 });
  expect(approvals).toHaveLength(100);
  const reasons = answers.map((answer) => (answer === 'passed' ? answer : answer.reason));
  expect(new Set(reasons)).toEqual(new Set(['approval_required', 'policy_denied']));
  const next = (await world.call(freshArguments(), { who: flooder })) as PortcullisError;
  expect(next).toMatchObject({ reason: 'policy_denied' });
  expect((await world.operator.decisions.getDecision({ id: next.metadata['call_id'] ?? '' })).decision).toMatchObject({
    effect: Effect.DENY,
    reason: DecisionReason.APPROVALS_EXHAUSTED,
  });
});
