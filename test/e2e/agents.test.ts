import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { AgentState } from '../../gen/portcullis/v1/agent_pb.ts';
import { ApprovalState } from '../../gen/portcullis/v1/approval_pb.ts';
import type { Decision } from '../../gen/portcullis/v1/decision_pb.ts';
import { DecisionReason, Face } from '../../gen/portcullis/v1/decision_pb.ts';
import { ApprovalBehavior } from '../../gen/portcullis/v1/policy_pb.ts';
import { Effect } from '../../gen/portcullis/v1/policy_rule_pb.ts';
import { PrincipalKind } from '../../gen/portcullis/v1/principal_kind_pb.ts';
import { Scope } from '../../gen/portcullis/v1/scope_pb.ts';
import type { PortcullisClient } from '../../sdk/src/client.ts';
import { createApiKey } from '../../src/authn/api-key.ts';
import type { GatewayProcess } from '../support/gateway-process.ts';
import { streamableHttp } from './support-api.ts';
import { createCleanUp } from './support-clean-up.ts';
import { openDecisionStream } from './support-decision-stream.ts';
import { callerOf, post, toolCall } from './support-mcp-session.ts';
import { effectRule, operatorOf, policyOf, requireApproval, sdkOf, slugRef } from './support-policies.ts';
import { addAgent, addKey } from './support-principals.ts';
import { type RecordingUpstream, startRecordingUpstream } from './support-recording-upstream.ts';
import { replicaEnv } from './support-replicas.ts';

/** Agents are changed at one replica, and call at the other. */
let first: GatewayProcess;
let second: GatewayProcess;
let operator: PortcullisClient;
let recorder: RecordingUpstream;
const cleanUp = createCleanUp();
const { ACTIVE, SUSPENDED, REVOKED } = AgentState;
const inactive = [
  { name: 'SUSPENDED', state: SUSPENDED },
  { name: 'REVOKED', state: REVOKED },
] as const;

beforeAll(async () => {
  const env = { ...(await replicaEnv()), GATEWAY_DEMO_UPSTREAM: 'false' };
  const apiKey = createApiKey();
  [first, second] = await Promise.all([cleanUp.startGateway({ env, apiKey }), cleanUp.startGateway({ env, apiKey })]);
  recorder = await cleanUp.add(startRecordingUpstream(), ({ stop }) => stop());
  operator = await operatorOf(first);
  await operator.upstreams.createUpstream({ slug: 'shop', transport: streamableHttp(recorder.url) });
  const everything = policyOf('*', effectRule(Effect.ALLOW), { priority: 1000 });
  await operator.policies.createPolicy({ slug: 'everything-goes', content: everything });
  const hold = { behavior: ApprovalBehavior.HOLD };
  const held = policyOf('touch', requireApproval, { priority: 1000, approval: hold });
  await operator.policies.createPolicy({ slug: 'held', content: held });
});

afterAll(cleanUp.run);

const call = (apiKey: string, tool = 'look') => post(callerOf(second, 'shop', apiKey), toolCall(1, tool));
const setState = (slug: string, state: AgentState) => operator.agents.updateAgent({ agent: slugRef(slug), state });

/** An agent whose key the second replica knows. */
async function addKnownAgent(slug: string, scopes: Scope[] = [Scope.TOOLS_CALL, Scope.GATEWAY_READ]) {
  const agent = await addAgent(operator, slug, { scopes });
  await vi.waitUntil(async () => (await call(agent.apiKey)).status === 200, { timeout: 10_000, interval: 10 });
  return agent;
}

/** The decisions about an agent's calls, oldest first. */
async function decisionsOf(agentId: string): Promise<Decision[]> {
  const filter = { principalId: agentId };
  return (await operator.decisions.listDecisions({ filter, pageSize: 250 })).decisions.toReversed();
}

describe('the keys of an agent', () => {
  test('[I3-AGENT-KEYS] act as the agent, each with its own scopes', async () => {
    const agent = await addKnownAgent('worker');
    const other = await addKey(operator, agent.id, { scopes: [Scope.GATEWAY_READ] });
    const { caller } = await sdkOf(first, agent.apiKey).auth.getCaller({});
    expect(caller).toMatchObject({ kind: PrincipalKind.AGENT, id: agent.id, name: 'worker' });

    await vi.waitUntil(async () => (await call(other.apiKey)).status === 403, { timeout: 5_000, interval: 10 });
    const decisions = await decisionsOf(agent.id);
    expect(decisions.at(-1)).toMatchObject({
      reason: DecisionReason.SCOPE,
      principal: { kind: PrincipalKind.AGENT, name: 'worker', apiKeyId: other.apiKeyId },
    });
    expect(decisions[0]).toMatchObject({
      effect: Effect.ALLOW,
      principal: { kind: PrincipalKind.AGENT, name: 'worker', apiKeyId: agent.apiKeyId },
    });
  });

  test('can neither be admin nor decide approvals', async () => {
    const { agent } = await operator.agents.createAgent({ slug: 'climber' });
    for (const scope of [Scope.ADMIN, Scope.APPROVALS_DECIDE]) {
      await expect(addKey(operator, agent?.id ?? '', { scopes: [scope] })).rejects.toMatchObject({
        reason: 'validation_failed',
      });
    }
  });
});

describe.each(inactive)('an agent that is $name', ({ name, state }) => {
  const slug = (what: string) => `${what}-${name.toLowerCase()}`;

  test('[I3-AGENT-STATES] is denied before any rule on every replica within a second, and each call is recorded', async () => {
    const agent = await addKnownAgent(slug('denied'));
    const began = performance.now();
    await setState(slug('denied'), state);
    let lastAllowed = 0;
    for (;;) {
      const asked = performance.now() - began;
      if ((await call(agent.apiKey)).status !== 200) break;
      lastAllowed = asked;
    }
    expect(lastAllowed).toBeLessThan(1_000);

    const forwarded = recorder.calls.length;
    const refused = await call(agent.apiKey);
    expect(refused).toMatchObject({ status: 403, messages: [{ error: { code: 'permission_denied' } }] });
    const tools = sdkOf(second, agent.apiKey).tools;
    await expect(tools.callTool({ upstream: slugRef('shop'), name: 'look' })).rejects.toMatchObject({
      reason: 'permission_denied',
    });
    expect(recorder.calls.length).toBe(forwarded);
    const record = {
      effect: Effect.DENY,
      reason: DecisionReason.AGENT_INACTIVE,
      ruleIds: [],
      message: `The agent '${slug('denied')}' is ${name.toLowerCase()}: all of its calls are denied.`,
    };
    expect((await decisionsOf(agent.id)).slice(-2)).toMatchObject([
      { ...record, face: Face.MCP },
      { ...record, face: Face.API },
    ]);
  });

  test('reads nothing, lists nothing and manages nothing', async () => {
    const agent = await addKnownAgent(slug('reader'), [Scope.TOOLS_CALL, Scope.GATEWAY_READ, Scope.GATEWAY_WRITE]);
    const key = agent.apiKey;
    const attempts = (): Record<string, () => Promise<unknown>> => ({
      decisions: () => sdkOf(first, key).decisions.listDecisions({}),
      approvals: () => sdkOf(first, key).approvals.listApprovals({}),
      policies: () => sdkOf(first, key).policies.listPolicies({}),
      tools: () => sdkOf(first, key).tools.listTools({ upstream: slugRef('shop') }),
      newKey: () =>
        sdkOf(first, key).apiKeys.createApiKey({ scopes: [Scope.TOOLS_CALL], grants: { allUpstreams: true } }),
      wakeUp: () => sdkOf(first, key).agents.updateAgent({ agent: slugRef(slug('reader')), state: ACTIVE }),
    });
    await setState(slug('reader'), state);
    const reasons: Record<string, unknown> = {};
    for (const [attempt, run] of Object.entries(attempts())) {
      reasons[attempt] = await run().then(
        () => 'answered',
        (error: { reason: string }) => error.reason,
      );
    }
    expect(reasons).toEqual({
      decisions: 'permission_denied',
      approvals: 'permission_denied',
      policies: 'permission_denied',
      tools: 'permission_denied',
      newKey: 'permission_denied',
      wakeUp: 'permission_denied',
    });
    const list = { jsonrpc: '2.0', id: 1, method: 'tools/list' };
    await vi.waitUntil(async () => (await call(key)).status === 403, { timeout: 5_000, interval: 10 });
    expect((await post(callerOf(second, 'shop', key), list)).status).toBe(403);
  });

  test('[I3-AGENT-STATES] is denied by Authorize too, whoever asks, before any rule', async () => {
    const agent = await addKnownAgent(slug('asked'));
    await setState(slug('asked'), state);
    const request = { agent: slugRef(slug('asked')), tool: 'refund', arguments: { amount: 1 } };
    await vi.waitUntil(async () => (await call(agent.apiKey)).status === 403, { timeout: 5_000, interval: 10 });
    for (const replica of [first, second]) {
      const answer = await sdkOf(replica).tools.authorize(request);
      expect(answer).toMatchObject({ outcome: Effect.DENY, reason: DecisionReason.AGENT_INACTIVE, ruleIds: [] });
      const { decision } = await operator.decisions.getDecision({ id: answer.decisionId });
      expect(decision).toMatchObject({ tool: 'refund', principal: { id: agent.id }, effect: Effect.DENY });
    }
    const own = await sdkOf(second, agent.apiKey).tools.authorize(request);
    expect(own).toMatchObject({ outcome: Effect.DENY, reason: DecisionReason.AGENT_INACTIVE });
    expect((await decisionsOf(agent.id)).at(-1)).toMatchObject({ id: own.decisionId });
  });

  test('[I3-AGENT-STATES] loses its open streams within a second', async () => {
    const agent = await addKnownAgent(slug('watcher'));
    const stream = await openDecisionStream(callerOf(second, 'shop', agent.apiKey));
    expect((await stream.next())?.data).toContain('notifications/session');
    const watches = ['decisions', 'approvals'] as const;
    const ends = watches.map((what) => endOfWatch(sdkOf(second, agent.apiKey), what));
    const opened = await Promise.all(ends.map(({ opened: one }) => one));
    expect(opened).toEqual([true, true]);

    const began = performance.now();
    await setState(slug('watcher'), state);
    while ((await stream.next()) !== undefined);
    const reasons = await Promise.all(ends.map(({ ended }) => ended));
    expect(performance.now() - began).toBeLessThan(2_000);
    expect(reasons).toEqual(['permission_denied', 'permission_denied']);
  });

  test('does not get through with a call that was held, even when it is approved', async () => {
    const agent = await addKnownAgent(slug('waiting'));
    const forwarded = recorder.calls.length;
    const held = call(agent.apiKey, 'touch');
    const filter = { state: ApprovalState.PENDING, requesterId: agent.id };
    const id = await vi.waitFor(async () => {
      const { approvals } = await operator.approvals.listApprovals({ filter });
      expect(approvals).toHaveLength(1);
      return approvals[0]?.id ?? '';
    });
    await setState(slug('waiting'), state);
    await vi.waitUntil(async () => (await call(agent.apiKey)).status === 403, { timeout: 5_000, interval: 10 });
    const counted = recorder.calls.length;
    await operator.approvals.approveCall({ id });
    const { text } = await held;
    expect(text).not.toContain('"result"');
    expect(recorder.calls.length).toBe(counted);
    expect(recorder.calls.slice(forwarded).filter(({ name: tool }) => tool === 'touch')).toEqual([]);
    expect(
      (await decisionsOf(agent.id)).filter(({ tool, effect }) => tool === 'touch' && effect === Effect.ALLOW),
    ).toEqual([]);
  });
});

test('[I3-AGENT-STATES] a suspended agent can be made active again, a revoked one never', async () => {
  const agent = await addKnownAgent('sleeper');
  await setState('sleeper', SUSPENDED);
  await vi.waitUntil(async () => (await call(agent.apiKey)).status === 403, { timeout: 5_000, interval: 10 });
  await setState('sleeper', ACTIVE);
  await vi.waitUntil(async () => (await call(agent.apiKey)).status === 200, { timeout: 5_000, interval: 10 });
  await setState('sleeper', REVOKED);
  for (const state of [ACTIVE, SUSPENDED]) {
    await expect(setState('sleeper', state)).rejects.toMatchObject({ reason: 'failed_precondition' });
  }
  await expect(addKey(operator, agent.id)).rejects.toMatchObject({ reason: 'failed_precondition' });
});

test('[I3-AGENT-DELETED] a deleted agent leaves its decisions and approvals, and its keys are worth nothing', async () => {
  const agent = await addKnownAgent('leaver');
  const request = { agent: slugRef('leaver'), tool: 'touch', arguments: { amount: 7 } };
  const { approvalId, decisionId } = await sdkOf(first, agent.apiKey).tools.authorize(request);
  const before = await decisionsOf(agent.id);
  await operator.agents.deleteAgent({ agent: slugRef('leaver') });

  const isRefused = async () => {
    const { status } = await post(callerOf(second, 'shop', agent.apiKey), {
      jsonrpc: '2.0',
      id: 1,
      method: 'tools/list',
    });
    return status === 401;
  };
  await vi.waitUntil(isRefused, { timeout: 5_000, interval: 10 });
  const after = await decisionsOf(agent.id);
  expect(after).toMatchObject(before.map(({ id, principal }) => ({ id, principal })));
  expect((await operator.decisions.getDecision({ id: decisionId })).decision).toMatchObject({
    principal: { kind: PrincipalKind.AGENT, id: agent.id, name: 'leaver' },
    effect: Effect.REQUIRE_APPROVAL,
  });
  const { approval } = await operator.approvals.getApproval({ id: approvalId });
  expect(approval).toMatchObject({ requester: { id: agent.id, name: 'leaver' }, argumentsJson: '{"amount":7}' });
  await expect(operator.tools.authorize({ agent: slugRef('leaver'), tool: 'look' })).rejects.toMatchObject({
    reason: 'not_found',
  });
  // The name is free again, and is another agent.
  const next = await addKnownAgent('leaver');
  expect(next.id).not.toBe(agent.id);
  expect(await decisionsOf(agent.id)).toHaveLength(before.length);
});

/** A watch: when it is in place, and the reason with which it ended. */
function endOfWatch(portcullis: PortcullisClient, what: 'decisions' | 'approvals') {
  const opened = Promise.withResolvers<boolean>();
  const follow = async (): Promise<unknown> => {
    const stream =
      what === 'decisions'
        ? portcullis.decisions.watchDecisions({})
        : portcullis.approvals.watchApprovals({ filter: { tool: 'none' } });
    for await (const { value } of stream) {
      opened.resolve(value.case === 'checkpoint');
    }
    return 'ended in order';
  };
  const ended = follow().catch((error: { reason: string }) => error.reason);
  return { opened: opened.promise, ended };
}
