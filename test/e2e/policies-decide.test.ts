import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Decision } from '../../gen/portcullis/v1/decision_pb.ts';
import { DecisionReason } from '../../gen/portcullis/v1/decision_pb.ts';
import { EnforcementMode } from '../../gen/portcullis/v1/policy_pb.ts';
import { Effect, RateScope } from '../../gen/portcullis/v1/policy_rule_pb.ts';
import { PrincipalKind } from '../../gen/portcullis/v1/principal_kind_pb.ts';
import type { PortcullisClient } from '../../sdk/src/client.ts';
import type { GatewayProcess } from '../support/gateway-process.ts';
import { streamableHttp } from './support-api.ts';
import { createCleanUp } from './support-clean-up.ts';
import { callerOf, post, toolCall } from './support-mcp-session.ts';
import { deny, maximumRule, operatorOf, policyOf, type RuleKindInit, sdkOf, slugRef } from './support-policies.ts';
import { addAgent, addKey, addUser } from './support-principals.ts';
import { type RecordingUpstream, startRecordingUpstream } from './support-recording-upstream.ts';

type Json = Record<string, unknown>;

let gateway: GatewayProcess;
let portcullis: PortcullisClient;
let operator: PortcullisClient;
let recorder: RecordingUpstream;
const cleanUp = createCleanUp();

beforeAll(async () => {
  gateway = await cleanUp.startGateway({ env: { GATEWAY_DEMO_UPSTREAM: 'false', GATEWAY_DATABASE_URL: 'memory://' } });
  recorder = await cleanUp.add(startRecordingUpstream(), ({ stop }) => stop());
  portcullis = sdkOf(gateway);
  operator = await operatorOf(gateway);
  await portcullis.upstreams.createUpstream({ slug: 'shop', transport: streamableHttp(recorder.url) });
});

afterAll(cleanUp.run);

/** The answer to a call without a session: what the upstream says, or the rules that refused it. */
async function call(tool: string, args: Json = {}, apiKey = gateway.apiKey, slug = 'shop') {
  const { messages } = await post(callerOf(gateway, slug, apiKey), toolCall(1, tool, args));
  const [message] = messages as [{ result?: unknown; error?: { data: { rule_ids: string[]; reason: string } } }];
  return message.result === undefined ? (message.error?.data.rule_ids ?? message) : 'passed';
}

/** The newest decision about a tool. */
async function lastDecision(tool: string): Promise<Decision> {
  const { decisions } = await portcullis.decisions.listDecisions({ filter: { tool }, pageSize: 1 });
  return decisions[0] as Decision;
}

describe('a policy in SHADOW mode', () => {
  test('[I3-SHADOW] is evaluated and recorded, with its state, and changes nothing', async () => {
    const rules = [
      { id: 'limit', kind: maximumRule('amount', 10) },
      {
        id: 'rate',
        kind: { case: 'rate' as const, value: { maxCalls: 1, windowSeconds: 60, per: RateScope.AGENT } },
      },
    ];
    const content = { mode: EnforcementMode.SHADOW, targets: [{ toolPattern: 'ship' }], rules };
    await portcullis.policies.createPolicy({ slug: 'trial', content });

    expect(await call('ship', { amount: 5 })).toBe('passed');
    const first = await lastDecision('ship');
    expect(await call('ship', { amount: 11 })).toBe('passed');
    const second = await lastDecision('ship');

    expect(first.shadowResults).toEqual([]);
    expect(second).toMatchObject({ effect: Effect.ALLOW, reason: DecisionReason.PROJECT_DEFAULT, ruleIds: [] });
    expect(second.failures).toEqual([]);
    expect(second.shadowResults).toMatchObject([
      {
        policy: { slug: 'trial', version: 1 },
        effect: Effect.DENY,
        ruleIds: ['trial/limit', 'trial/rate'],
        message: "Denied by rule 'trial/limit' and one more.",
        failures: [
          { ruleId: 'trial/limit', path: 'amount', check: 'maximum', expected: '10', actual: '11' },
          { ruleId: 'trial/rate', check: 'max_calls', expected: 'at most 1 in 60 s' },
        ],
      },
    ]);
  });
});

describe('the versions of a policy', () => {
  test('[I3-VERSIONS] a draft decides nothing until it is put in force, and an older version can be again', async () => {
    const { policies } = portcullis;
    const policy = slugRef('versioned');
    const version = (maximum: number) => policyOf('buy', maximumRule('amount', maximum));
    await policies.createPolicy({ slug: 'versioned', content: version(100) });
    const drafted = await policies.updatePolicy({ policy, change: { case: 'draft', value: version(10) } });

    expect(drafted.policy).toMatchObject({ version: 1, latestVersion: 2 });
    expect(await call('buy', { amount: 50 })).toBe('passed');

    await policies.updatePolicy({ policy, change: { case: 'version', value: 2 } });
    expect(await call('buy', { amount: 50 })).toEqual(['versioned/r']);
    expect(await lastDecision('buy')).toMatchObject({ policies: [{ slug: 'versioned', version: 2 }] });

    await policies.updatePolicy({ policy, change: { case: 'version', value: 1 } });
    expect(await call('buy', { amount: 50 })).toBe('passed');
    expect(await call('buy', { amount: 101 })).toEqual(['versioned/r']);
    expect(await lastDecision('buy')).toMatchObject({ policies: [{ slug: 'versioned', version: 1 }] });

    await operator.policies.updatePolicy({ policy, change: { case: 'content', value: version(1000) } });
    expect(await call('buy', { amount: 101 })).toBe('passed');
    const { versions } = await policies.listPolicyVersions({ policy });
    expect(versions.map(({ version: number, authorName }) => [number, authorName])).toEqual([
      [3, 'admin'],
      [2, 'admin'],
      [1, 'admin'],
    ]);
  });

  test('[I3-VERSIONS] a change that came too late is refused, and leaves nothing behind', async () => {
    const { policies } = portcullis;
    const policy = slugRef('contested');
    const content = policyOf('contested', deny);
    const made = await policies.createPolicy({ slug: 'contested', content });
    const etag = made.policy?.etag ?? '';
    await policies.updatePolicy({ policy, etag, change: { case: 'content', value: { ...content, priority: 5 } } });
    await expect(
      policies.updatePolicy({ policy, etag, change: { case: 'content', value: { ...content, priority: 6 } } }),
    ).rejects.toMatchObject({ reason: 'etag_mismatch' });
    expect((await policies.getPolicy({ policy })).policy).toMatchObject({ latestVersion: 2, content: { priority: 5 } });
  });

  test('[I3-VERSIONS] a deleted policy decides nothing more, and the decisions that name it stay', async () => {
    await portcullis.policies.createPolicy({ slug: 'gone', content: policyOf('going', deny) });
    expect(await call('going')).toEqual(['gone/r']);
    await portcullis.policies.deletePolicy({ policy: slugRef('gone') });
    expect(await call('going')).toBe('passed');
    const { decisions } = await portcullis.decisions.listDecisions({ filter: { tool: 'going', effect: Effect.DENY } });
    expect(decisions).toMatchObject([{ ruleIds: ['gone/r'], policies: [{ slug: 'gone', version: 1 }] }]);
  });
});

describe('priorities', () => {
  test('[I3-PRIORITY] the first priority with a result decides, and within one the strictest', async () => {
    const allow: RuleKindInit = { case: 'effect', value: { effect: Effect.ALLOW } };
    const ask: RuleKindInit = { case: 'effect', value: { effect: Effect.REQUIRE_APPROVAL } };
    const create = (slug: string, priority: number, kind: RuleKindInit, tool = 'ranked') =>
      portcullis.policies.createPolicy({ slug, content: policyOf(tool, kind, { priority }) });
    await create('low-deny', 1, deny);
    expect(await call('ranked')).toEqual(['low-deny/r']);
    await create('mid-allow', 2, allow);
    expect(await call('ranked')).toBe('passed');
    await create('mid-ask', 2, ask);
    expect(await call('ranked')).toEqual(['mid-ask/r']);
    await create('mid-deny', 2, deny, 'rank*');
    expect(await call('ranked')).toEqual(['mid-deny/r']);
    await create('high-allow', 1000, allow);
    expect(await call('ranked')).toBe('passed');
    expect(await lastDecision('ranked')).toMatchObject({ ruleIds: ['high-allow/r'], reason: DecisionReason.RULE });
  });
});

describe('the subjects of a policy', () => {
  test('[I3-SUBJECTS] are agents, users, keys and teams, and nobody else is decided by it', async () => {
    const ann = await addUser(operator, 'ann', { teams: ['red'] });
    const annsOther = await addKey(operator, ann.id);
    const bob = await addUser(operator, 'bob', { teams: ['blue'] });
    const bot = await addAgent(operator, 'bot', { teams: ['red'] });
    const droid = await addAgent(operator, 'droid');
    const callers = { ann, annsOther, bob, bot, droid };
    const subjects = {
      agents: { agentIds: [bot.id] },
      users: { userIds: [ann.id] },
      keys: { apiKeyIds: [annsOther.apiKeyId] },
      teams: { teams: ['red'] },
      several: { agentIds: [droid.id], teams: ['blue'] },
    };
    for (const [slug, value] of Object.entries(subjects)) {
      const content = policyOf(`subject-${slug}`, deny, { subjects: value });
      await portcullis.policies.createPolicy({ slug: `subject-${slug}`, content });
    }
    const denied: Record<string, string[]> = {};
    for (const slug of Object.keys(subjects)) {
      denied[slug] = [];
      for (const [name, { apiKey }] of Object.entries(callers)) {
        if ((await call(`subject-${slug}`, {}, apiKey)) !== 'passed') {
          denied[slug]?.push(name);
        }
      }
    }
    expect(denied).toEqual({
      agents: ['bot'],
      users: ['ann', 'annsOther'],
      keys: ['annsOther'],
      teams: ['ann', 'annsOther', 'bot'],
      several: ['bob', 'droid'],
    });
    expect(await lastDecision('subject-agents')).toMatchObject({
      principal: { kind: PrincipalKind.AGENT, id: droid.id, name: 'droid', apiKeyId: droid.apiKeyId },
    });
  });

  test('[I3-SUBJECTS] who joins a team is decided by its policies from the next call on', async () => {
    const eve = await addUser(operator, 'eve');
    await portcullis.policies.createPolicy({
      slug: 'team-green',
      content: policyOf('green', deny, { subjects: { teams: ['green'] } }),
    });
    expect(await call('green', {}, eve.apiKey)).toBe('passed');
    await operator.auth.updateUser({ id: eve.id, teams: { teams: ['green'] } });
    expect(await call('green', {}, eve.apiKey)).toEqual(['team-green/r']);
    await operator.auth.updateUser({ id: eve.id, teams: {} });
    expect(await call('green', {}, eve.apiKey)).toBe('passed');
  });
});

describe('a call that no policy has a result for', () => {
  test('[I3-DEFAULT] passes in the project default, and is denied in a new one until a policy or its default allows it', async () => {
    expect((await portcullis.projects.getProject({})).project).toMatchObject({ defaultEffect: Effect.ALLOW });
    expect(await call('unheard-of')).toBe('passed');
    expect(await lastDecision('unheard-of')).toMatchObject({ reason: DecisionReason.PROJECT_DEFAULT, ruleIds: [] });

    const { project: made } = await operator.projects.createProject({ slug: 'fresh' });
    expect(made).toMatchObject({ slug: 'fresh', defaultEffect: Effect.DENY });
    const project = slugRef('fresh');
    const transport = streamableHttp(recorder.url);
    await operator.upstreams.createUpstream({ project, slug: 'fresh-shop', transport });
    const { apiKey } = await addUser(operator, 'fresh-caller', { project: 'fresh' });
    const before = recorder.calls.length;
    expect(await call('look', {}, apiKey, 'fresh-shop')).toEqual([]);
    expect(recorder.calls.length).toBe(before);

    const allow: RuleKindInit = { case: 'tools', value: { allowedTools: ['look'] } };
    const policy = slugRef('lookers');
    await operator.policies.createPolicy({ project, slug: 'lookers', content: policyOf('look', allow) });
    expect(await call('look', {}, apiKey, 'fresh-shop')).toBe('passed');
    expect(await call('touch', {}, apiKey, 'fresh-shop')).toEqual([]);
    await operator.policies.deletePolicy({ project, policy });
    await operator.projects.updateProject({ project, defaultEffect: Effect.ALLOW });
    expect(await call('touch', {}, apiKey, 'fresh-shop')).toBe('passed');
    expect(await call('unheard-of')).toBe('passed');
  });
});

test('[I3-TARGETS] a policy for an upstream decides its calls on every face, whether it is named by its slug or its id', async () => {
  const targets = [{ upstreamPattern: 'shop', toolPattern: 'targeted' }];
  await portcullis.policies.createPolicy({ slug: 'shop-only', content: { targets, rules: [{ id: 'r', kind: deny }] } });
  await portcullis.agents.createAgent({ slug: 'asker' });
  const { upstream } = await portcullis.upstreams.getUpstream({ upstream: slugRef('shop') });
  const id = upstream?.id ?? '';
  for (const name of ['shop', id]) {
    expect(await call('targeted', {}, gateway.apiKey, name)).toEqual(['shop-only/r']);
    const request = { agent: slugRef('asker'), tool: 'targeted', upstream: name };
    expect(await portcullis.tools.authorize(request)).toMatchObject({ outcome: Effect.DENY, ruleIds: ['shop-only/r'] });
  }
  const byId = { value: { case: 'id' as const, value: id } };
  await expect(portcullis.tools.callTool({ upstream: byId, name: 'targeted' })).rejects.toMatchObject({
    reason: 'policy_denied',
  });
  const elsewhere = { agent: slugRef('asker'), tool: 'targeted', upstream: 'elsewhere' };
  expect(await portcullis.tools.authorize(elsewhere)).toMatchObject({ outcome: Effect.ALLOW });
});
