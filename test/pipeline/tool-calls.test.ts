import { afterEach, describe, expect, test } from 'vitest';
import { createCatalogue } from '../../src/catalogue/catalogue.ts';
import type { Decision, Outcome } from '../../src/domain/decision.ts';
import type { GatewayError } from '../../src/domain/errors.ts';
import type { Gateway, GatewayUpstream } from '../../src/domain/gateway.ts';
import type { GatewayId, PolicyId } from '../../src/domain/ids.ts';
import { defaultApprovalSettings, type Policy, type RuleKind } from '../../src/domain/policy.ts';
import type { Upstream } from '../../src/domain/upstream.ts';
import type { CallDeps } from '../../src/pipeline/call.ts';
import { createListing } from '../../src/pipeline/listing.ts';
import { createPolicySets } from '../../src/pipeline/policy-sets.ts';
import { createToolCalls, type ToolRequest } from '../../src/pipeline/tool-calls.ts';
import { createUsage } from '../../src/pipeline/usage.ts';
import { createEraBook } from '../../src/upstream/era.ts';
import { createUpstreamHealth } from '../../src/upstream/health.ts';
import { createOwnClient } from '../../src/upstream/own-client.ts';
import type { Script } from '../catalogue/scripted-upstream.ts';
import { type SteeredUpstream, steeredUpstream } from '../catalogue/steered-upstream.ts';
import { principal } from '../catalogue/support.ts';
import { createFakeApprovals } from '../mcp/fake-approvals.ts';
import { createMemoryConfig, PROJECT } from '../mcp/memory-config.ts';
import { channelsOf } from '../upstream/channel-clients.ts';

const cleanUps: (() => Promise<void> | void)[] = [];

afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).toReversed()) await cleanUp();
});

const ann = principal('ann');

function entry(slug: string, changes: Partial<GatewayUpstream> = {}): GatewayUpstream {
  return { slug, version: 'v1', tools: {}, ...changes };
}

function gatewayOf(upstreams: readonly GatewayUpstream[], changes: Partial<Gateway> = {}): Gateway {
  return {
    id: 'gateway-1' as GatewayId,
    projectId: PROJECT.id,
    slug: 'office',
    version: 'v1',
    displayName: '',
    description: '',
    commonOverrides: {},
    upstreams,
    discoveryMode: 'list',
    revision: 1,
    createTime: 0,
    updateTime: 0,
    ...changes,
  };
}

function policy(upstreamPattern: string, toolPattern: string, says: RuleKind): Policy {
  return {
    id: 'policy-1' as PolicyId,
    projectId: PROJECT.id,
    slug: 'rules',
    content: {
      displayName: '',
      priority: 0,
      mode: 'enforce',
      subjects: { agentIds: [], userIds: [], apiKeyIds: [], teams: [] },
      targets: [{ upstreamPattern, toolPattern }],
      rules: [{ id: 'rule', message: 'Ask Ann.', says }],
      approval: { ...defaultApprovalSettings, behavior: 'hold', holdTimeoutMs: 10_000 },
    },
    version: 1,
    latestVersion: 1,
    revision: 1,
    createTime: 0,
    updateTime: 0,
  };
}

async function steered(slug: string, script: Partial<Script> = {}): Promise<SteeredUpstream> {
  const made = await steeredUpstream(script, { id: `id-of-${slug}` as Upstream['id'], slug, timeoutMs: 5_000 });
  cleanUps.push(made.stop);
  return made;
}

interface WorldOptions {
  readonly upstreams: readonly SteeredUpstream[];
  readonly gateway: Gateway;
  readonly policies?: readonly Policy[];
}

/** The API face's calls over real processes; decisions are kept in memory. */
function worldOf({ upstreams, gateway, policies = [] }: WorldOptions) {
  const settings = createMemoryConfig({
    upstreams: upstreams.map(({ upstream }) => upstream),
    gateways: [gateway],
    policies,
  });
  const { config } = settings;
  const { channels, openConnection, close } = channelsOf();
  const eras = createEraBook({ client: { exchange: () => ({ abort() {}, resume() {} }) }, openConnection });
  const health = createUpstreamHealth();
  const catalogue = createCatalogue({ channels, eras, health, config });
  cleanUps.push(close, catalogue.close);
  const decisions: Decision[] = [];
  const outcomes: Outcome[] = [];
  const log = {
    append: async (decision: Decision) => void decisions.push(decision),
    settle: (outcome: Outcome) => void outcomes.push(outcome),
  };
  const policySets = createPolicySets(config);
  const approvals = createFakeApprovals();
  // Not the whole of what a store gives.
  const call = {
    config,
    maxConfigAgeMs: 1_000,
    log,
    policies: policySets,
    approvals,
    usage: createUsage(),
  } as unknown as CallDeps;
  const calls = createToolCalls({
    call,
    client: createOwnClient({ channels, eras, health }),
    compositions: catalogue.compositions,
    listing: createListing({ config, policies: policySets }),
  });
  const request = (kind: ToolRequest['target']['kind'], name: string): ToolRequest => ({
    principal: ann,
    target: { kind, name },
    requestId: 'request-1',
    signal: new AbortController().signal,
  });
  return {
    calls,
    decisions,
    outcomes,
    approvals,
    settings,
    list: (name = 'office') => calls.listTools(request('gateway', name)),
    call: (tool: string, args: Record<string, unknown> = {}, name = 'office') =>
      calls.callTool({ ...request('gateway', name), authenticate: () => ann, name: tool, arguments: args }),
    request,
  };
}

async function refusalOf(promise: Promise<unknown>): Promise<GatewayError> {
  return promise.then(
    () => Promise.reject(new Error('it was not refused')),
    (error: GatewayError) => error,
  );
}

/** What the upstream was called with, as it answered. */
function paramsIn({ result }: { readonly result: Readonly<Record<string, unknown>> }): unknown {
  const content = result['content'] as readonly { readonly text: string }[];
  return JSON.parse(content[0]?.text ?? '');
}

describe('the tools of a gateway', () => {
  test('are those of its upstreams under its names, with where they come from', async () => {
    const [shop, bank] = [await steered('shop'), await steered('bank', { tools: [{ name: 'pay', title: 'Pay' }] })];
    const { list } = worldOf({ upstreams: [shop, bank], gateway: gatewayOf([entry('shop'), entry('bank')]) });
    const tools = await list();
    expect(
      tools.map(({ name, upstream, upstreamTool }) => [name, upstream.slug, upstream.version, upstreamTool]),
    ).toEqual([
      ['shop_one', 'shop', 'v1', 'one'],
      ['shop_two', 'shop', 'v1', 'two'],
      ['bank_pay', 'bank', 'v1', 'pay'],
    ]);
    expect(tools[2]?.definition).toEqual({
      name: 'bank_pay',
      title: 'Pay',
      _meta: { 'portcullis/upstream': 'bank', 'portcullis/tool': 'pay' },
    });
  });

  test('are without what policies deny for the upstream that has them', async () => {
    const [shop, bank] = [await steered('shop'), await steered('bank')];
    const { list } = worldOf({
      upstreams: [shop, bank],
      gateway: gatewayOf([entry('shop'), entry('bank')]),
      policies: [policy('bank', 'one', { kind: 'effect', effect: 'deny' })],
    });
    expect((await list()).map(({ name }) => name)).toEqual(['shop_one', 'shop_two', 'bank_two']);
  });

  test('are the real ones also where MCP clients search for them', async () => {
    const shop = await steered('shop');
    const gateway = gatewayOf([entry('shop')], { discoveryMode: 'search' });
    const { list, call } = worldOf({ upstreams: [shop], gateway });
    expect((await list()).map(({ name }) => name)).toEqual(['one', 'two']);
    expect(paramsIn(await call('one', { a: 1 }))).toMatchObject({ name: 'one', arguments: { a: 1 } });
  });

  test('are those of the upstreams that can be reached', async () => {
    const shop = await steered('shop');
    const bank = await steered('bank', { errors: { initialize: { code: -32603, message: 'closed' } } });
    const { list } = worldOf({ upstreams: [shop, bank], gateway: gatewayOf([entry('shop'), entry('bank')]) });
    expect((await list()).map(({ name }) => name)).toEqual(['shop_one', 'shop_two']);
  });
});

describe('the tools of an upstream', () => {
  test('come with where they are from too', async () => {
    const shop = await steered('shop', { tools: [{ name: 'one', title: 'One' }] });
    const { calls, request } = worldOf({ upstreams: [shop], gateway: gatewayOf([]) });
    expect(await calls.listTools(request('upstream', 'shop'))).toEqual([
      { name: 'one', definition: { name: 'one', title: 'One' }, upstream: shop.upstream, upstreamTool: 'one' },
    ]);
  });
});

describe('a call of a tool of a gateway', () => {
  test('goes to its upstream under its own name, and is decided and recorded as that', async () => {
    const [shop, bank] = [await steered('shop'), await steered('bank')];
    const gateway = gatewayOf([entry('shop'), entry('bank')]);
    const { call, decisions, outcomes } = worldOf({ upstreams: [shop, bank], gateway });
    const answer = await call('bank_two', { amount: 5 });
    expect(paramsIn(answer)).toMatchObject({ name: 'two', arguments: { amount: 5 } });
    expect(decisions).toMatchObject([
      {
        id: answer.callId,
        face: 'api',
        upstreamId: 'id-of-bank',
        upstreamSlug: 'bank',
        upstreamVersion: 'v1',
        gatewayId: 'gateway-1',
        gatewaySlug: 'office',
        tool: 'two',
        effect: 'allow',
        argumentsJson: '{"amount":5}',
        requestBytes: 12,
      },
    ]);
    expect(outcomes).toMatchObject([{ decisionId: answer.callId, status: 'ok' }]);
    expect(shop.counted('tools/call')).toBe(0);
  });

  test('has the fixed and default arguments, which the decision sees', async () => {
    const tools = { one: { fixedArguments: { region: 'eu' }, argumentDefaults: { limit: 10, page: 1 } } };
    const shop = await steered('shop');
    const { call, decisions } = worldOf({ upstreams: [shop], gateway: gatewayOf([entry('shop', { tools })]) });
    expect(paramsIn(await call('one', { region: 'us', page: 2 }))).toMatchObject({
      arguments: { limit: 10, page: 2, region: 'eu' },
    });
    expect(decisions).toMatchObject([{ argumentsJson: '{"limit":10,"page":2,"region":"eu"}' }]);
  });

  test('is refused an argument that could be taken for a fixed one', async () => {
    const tools = { one: { fixedArguments: { region: 'eu' } } };
    const shop = await steered('shop');
    const { call, decisions } = worldOf({ upstreams: [shop], gateway: gatewayOf([entry('shop', { tools })]) });
    expect(await refusalOf(call('one', { Region: 'us' }))).toMatchObject({
      reason: 'validation_failed',
      message: "'Region' is no argument of this tool.",
    });
    expect(decisions).toEqual([]);
  });

  test('is denied by what policies say about its upstream', async () => {
    const [shop, bank] = [await steered('shop'), await steered('bank')];
    const { call, decisions } = worldOf({
      upstreams: [shop, bank],
      gateway: gatewayOf([entry('shop'), entry('bank')]),
      policies: [policy('bank', 'two', { kind: 'effect', effect: 'deny' })],
    });
    const refusal = await refusalOf(call('bank_two'));
    expect(refusal).toMatchObject({ reason: 'policy_denied', message: 'Ask Ann.' });
    expect(refusal.metadata).toEqual({ call_id: decisions[0]?.id, rule: 'rules/rule' });
    expect(decisions).toMatchObject([{ upstreamSlug: 'bank', gatewaySlug: 'office', effect: 'deny' }]);
    expect(bank.counted('tools/call')).toBe(0);
  });

  test('that was held goes to its upstream once it is approved', async () => {
    const shop = await steered('shop');
    const { call, approvals } = worldOf({
      upstreams: [shop],
      gateway: gatewayOf([entry('shop')]),
      policies: [policy('shop', 'one', { kind: 'effect', effect: 'require_approval' })],
    });
    const answer = call('one', { a: 1 });
    const asked = await approvals.next();
    approvals.approve(asked.id);
    expect(paramsIn(await answer)).toMatchObject({ name: 'one', arguments: { a: 1 } });
  });

  test('that it does not offer is recorded as that, and not found', async () => {
    const shop = await steered('shop');
    const { call, decisions } = worldOf({ upstreams: [shop], gateway: gatewayOf([entry('shop')]) });
    const refusal = await refusalOf(call('nothing', { a: 1 }));
    expect(refusal).toMatchObject({
      reason: 'not_found',
      message: `The gateway 'office' offers no tool of this name.`,
      metadata: { resource: 'tool', name: 'nothing' },
    });
    expect(decisions).toMatchObject([
      {
        id: refusal.metadata['call_id'],
        effect: 'deny',
        reason: 'not_offered',
        gatewayId: 'gateway-1',
        gatewaySlug: 'office',
        upstreamSlug: 'office',
        tool: 'nothing',
        argumentsJson: '{"a":1}',
        requestBytes: 7,
      },
    ]);
    expect(decisions[0]?.upstreamId).toBeUndefined();
  });

  test('that its upstream has since it was listed is found', async () => {
    const shop = await steered('shop');
    const { call, list } = worldOf({ upstreams: [shop], gateway: gatewayOf([entry('shop')]) });
    await list();
    await refusalOf(call('three'));
    await shop.set({ tools: [{ name: 'three' }] });
    await shop.changed('tools');
    while ((await list()).length !== 1) {
      // The report of the change is on its way.
    }
    expect(paramsIn(await call('three'))).toMatchObject({ name: 'three' });
  });

  test('waits for its upstream as long as the entry of the gateway says', async () => {
    const shop = await steered('shop', { silent: ['tools/call'] });
    const gateway = gatewayOf([entry('shop', { timeoutMs: 300 })]);
    const { call, outcomes } = worldOf({ upstreams: [shop], gateway });
    expect(await refusalOf(call('one'))).toMatchObject({ reason: 'upstream_timeout' });
    expect(outcomes).toMatchObject([{ status: 'timeout' }]);
  });

  test('does not wait for another upstream that hangs', async () => {
    const shop = await steered('shop');
    const bank = await steered('bank', { silent: ['initialize'] });
    const gateway = gatewayOf([entry('shop'), entry('bank', { timeoutMs: 200 })]);
    const { call, list } = worldOf({ upstreams: [shop, bank], gateway });
    await list();
    const began = performance.now();
    await call('shop_one');
    await list();
    // The hanging upstream would answer after five seconds at the earliest.
    expect(performance.now() - began).toBeLessThan(2_500);
  });
});

describe('a target of one kind', () => {
  test('is not found as one of the other, which is recorded', async () => {
    const shop = await steered('shop');
    const { calls, request, list, call, decisions } = worldOf({
      upstreams: [shop],
      gateway: gatewayOf([entry('shop')]),
    });
    expect(await refusalOf(list('shop'))).toMatchObject({
      reason: 'not_found',
      message: `There is no gateway 'shop' in this project.`,
    });
    expect(await refusalOf(call('one', {}, 'shop'))).toMatchObject({ reason: 'not_found' });
    const refusal = await refusalOf(calls.listTools(request('upstream', 'office')));
    expect(refusal).toMatchObject({ reason: 'not_found', message: `There is no upstream 'office' in this project.` });
    expect(decisions).toHaveLength(3);
    expect(decisions[2]).toMatchObject({
      id: refusal.metadata['call_id'],
      effect: 'deny',
      reason: 'upstream_not_found',
      upstreamSlug: 'office',
    });
  });
});
