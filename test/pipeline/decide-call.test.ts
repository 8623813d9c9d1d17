import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createApprovals } from '../../src/approvals/create-approvals.ts';
import { withChange } from '../../src/db/config-changes.ts';
import { addPolicyVersion, insertPolicy, updatePolicy } from '../../src/db/policies.ts';
import { insertProject } from '../../src/db/projects.ts';
import { openDatabase, type Store } from '../../src/db/store.ts';
import { DecisionLog } from '../../src/decisions/decision-log.ts';
import type { Effect } from '../../src/domain/decision.ts';
import { newId, type PolicyId, type PrincipalId, type ProjectId } from '../../src/domain/ids.ts';
import { defaultApprovalSettings, type Policy, type PolicyContent, type PolicyRule } from '../../src/domain/policy.ts';
import type { Principal } from '../../src/domain/principal.ts';
import { type DecideDeps, decideCall } from '../../src/pipeline/decide-call.ts';
import type { GovernedCall } from '../../src/pipeline/decision.ts';
import { createPolicySets } from '../../src/pipeline/policy-sets.ts';
import { createHotConfig } from '../../src/snapshot/hot-config.ts';
import { gateway } from '../store/samples.ts';

const NOW = Date.now();
const projectId = newId<ProjectId>();

let store: Store;
let deps: DecideDeps;
let close: () => Promise<void>;

beforeEach(async () => {
  store = await openDatabase({ kind: 'memory' });
  await withChange(store, 'project', projectId, (trx) =>
    insertProject(trx, {
      id: projectId,
      slug: 'default',
      displayName: '',
      recordedArguments: 'redacted',
      redactedKeys: [],
      defaultEffect: 'allow',
      revision: 1,
      createTime: NOW,
      updateTime: NOW,
    }),
  );
  const config = await createHotConfig(store);
  const approvals = createApprovals({ store, onChange: config.onApprovalChange, now: Date.now });
  const log = new DecisionLog(store.log);
  deps = { config, maxConfigAgeMs: 10_000, log, approvals, policies: createPolicySets(config) };
  close = async () => {
    approvals.close();
    config.close();
    await log.close();
    await store.close();
  };
});

afterEach(() => close());

const alice = principalOf('alice');
const bob = principalOf('bob');

function principalOf(name: string): Principal {
  const id = newId<PrincipalId>();
  return { kind: 'user', id, projectId, name, scopes: new Set(['admin']), grants: 'all', teams: [] };
}

function callOf(changes: Partial<GovernedCall> = {}): GovernedCall {
  return {
    requestId: 'request-1',
    face: 'mcp',
    principal: alice,
    slug: 'bank',
    method: 'tools/call',
    upstream: { slug: 'bank' },
    era: 'legacy',
    tool: 'pay',
    arguments: { amount: 5 },
    session: undefined,
    requestBytes: 2,
    ...changes,
  };
}

const askFirst: PolicyRule = { id: 'ask', message: '', says: { kind: 'effect', effect: 'require_approval' } };

function contentOf(rules: readonly PolicyRule[], upstreamPattern = '*'): PolicyContent {
  return {
    displayName: '',
    priority: 500,
    mode: 'enforce',
    subjects: { agentIds: [], userIds: [], apiKeyIds: [], teams: [] },
    targets: [{ upstreamPattern, toolPattern: 'pay' }],
    rules,
    approval: defaultApprovalSettings,
  };
}

async function addPolicy(slug: string, rules: readonly PolicyRule[], upstreamPattern?: string): Promise<Policy> {
  const policy: Policy = {
    id: newId<PolicyId>(),
    projectId,
    slug,
    content: contentOf(rules, upstreamPattern),
    version: 1,
    latestVersion: 1,
    revision: 1,
    createTime: NOW,
    updateTime: NOW,
  };
  await withChange(store, 'policy', policy.id, (trx) => insertPolicy(trx, policy, alice));
  return policy;
}

async function approve(id: string | undefined): Promise<void> {
  await deps.approvals.vote(projectId, id as Parameters<typeof deps.approvals.vote>[1], bob, {
    approve: true,
    comment: '',
  });
}

async function effectOf(call: GovernedCall): Promise<Effect> {
  return (await decideCall(deps, call)).decision.effect;
}

describe('a call that needs approval', () => {
  test('is allowed once when it is approved, with a decision that names the approval', async () => {
    await addPolicy('payments', [askFirst]);
    const first = await decideCall(deps, callOf());
    expect(first.decision).toMatchObject({ effect: 'require_approval', approvalId: first.approval?.id });
    expect(first.approval).toMatchObject({ state: 'pending', callId: first.decision.id });
    await approve(first.approval?.id);
    const second = await decideCall(deps, callOf());
    expect(second.decision).toMatchObject({
      effect: 'allow',
      reason: 'approval',
      ruleIds: ['payments/ask'],
      approvalId: first.approval?.id,
    });
    const third = await decideCall(deps, callOf());
    expect(third.decision.effect).toBe('require_approval');
    expect(third.approval?.id).not.toBe(first.approval?.id);
  });

  test('is allowed for one of many equal calls at once', async () => {
    await addPolicy('payments', [askFirst]);
    await approve((await decideCall(deps, callOf())).approval?.id);
    const effects = await Promise.all(Array.from({ length: 20 }, () => effectOf(callOf())));
    expect(effects.filter((effect) => effect === 'allow')).toHaveLength(1);
  });

  test('shares one approval with all equal calls that come meanwhile', async () => {
    await addPolicy('payments', [askFirst]);
    const rulings = await Promise.all(Array.from({ length: 20 }, () => decideCall(deps, callOf())));
    expect(new Set(rulings.map(({ decision }) => decision.approvalId)).size).toBe(1);
  });

  test('is not helped by the approval of another version of the policy, nor held up by it', async () => {
    const { id } = await addPolicy('payments', [askFirst]);
    const old = (await decideCall(deps, callOf())).approval?.id;
    await approve(old);
    const content = contentOf([{ ...askFirst, message: 'Ask Bob.' }]);
    await withChange(store, 'policy', id, async (trx) => {
      await addPolicyVersion(trx, id, { version: 2, content, author: alice, createTime: NOW });
      await updatePolicy(trx, id, 1, { content, version: 2, latestVersion: 2, updateTime: NOW });
    });
    const asked = await decideCall(deps, callOf());
    expect(asked.decision).toMatchObject({ effect: 'require_approval', message: 'Ask Bob.' });
    expect(asked.approval?.id).not.toBe(old);
    await approve(asked.approval?.id);
    expect((await decideCall(deps, callOf())).decision).toMatchObject({
      effect: 'allow',
      approvalId: asked.approval?.id,
    });
    expect((await deps.approvals.get(projectId, old ?? ''))?.state).toBe('approved');
  });

  test('counts as allowed for rules with state once it is approved, and not before', async () => {
    await addPolicy('payments', [askFirst]);
    await addPolicy('rate', [
      {
        id: 'once',
        message: '',
        says: { kind: 'rate', maxCalls: 1, windowSeconds: 60, per: 'agent', violationEffect: 'deny' },
      },
    ]);
    const first = await decideCall(deps, callOf());
    expect(await effectOf(callOf())).toBe('require_approval');
    await approve(first.approval?.id);
    expect(await effectOf(callOf())).toBe('allow');
    expect(await effectOf(callOf())).toBe('deny');
  });

  test.each([
    ['another version of the upstream', { upstream: { slug: 'bank', version: 'v2' } }],
    ['a gateway', { gateway: gateway({ projectId }) }],
  ])('is not helped by the approval of the same call to %s', async (_name, elsewhere) => {
    await addPolicy('payments', [askFirst]);
    const there = callOf(elsewhere);
    const [here, other] = [await decideCall(deps, callOf()), await decideCall(deps, there)];
    expect(other.approval?.id).not.toBe(here.approval?.id);
    await approve(other.approval?.id);
    expect((await decideCall(deps, callOf())).decision).toMatchObject({
      effect: 'require_approval',
      approvalId: here.approval?.id,
    });
    expect((await decideCall(deps, there)).decision).toMatchObject({ effect: 'allow', approvalId: other.approval?.id });
    await approve(here.approval?.id);
    expect(await effectOf(there)).toBe('require_approval');
    const named = { upstream: { slug: 'bank', version: 'v1' } };
    expect((await decideCall(deps, callOf(named))).decision).toMatchObject({
      effect: 'allow',
      approvalId: here.approval?.id,
    });
  });

  test('is denied with the reason when its caller has a hundred approvals pending', async () => {
    await addPolicy('payments', [askFirst]);
    for (let amount = 0; amount < 100; amount++) await decideCall(deps, callOf({ arguments: { amount } }));
    const { decision, approval } = await decideCall(deps, callOf({ arguments: { amount: 100 } }));
    expect(decision).toMatchObject({ effect: 'deny', reason: 'approvals_exhausted' });
    expect([decision.approvalId, approval]).toEqual([undefined, undefined]);
    expect(await effectOf(callOf({ arguments: { amount: 7 } }))).toBe('require_approval');
  });
});

test.each(['v1', 'v2', undefined])('a policy about a slug holds for its version %s', async (version) => {
  await addPolicy('bank-only', [{ id: 'no', message: '', says: { kind: 'effect', effect: 'deny' } }], 'bank');
  const upstream = { slug: 'bank', ...(version === undefined ? {} : { version }) };
  const { decision } = await decideCall(deps, callOf({ upstream }));
  expect(decision).toMatchObject({ effect: 'deny', ruleIds: ['bank-only/no'], upstreamSlug: 'bank' });
  expect(decision.upstreamVersion).toBe(version);
  expect(await effectOf(callOf({ upstream: { ...upstream, slug: 'banks' } }))).toBe('allow');
});

test('nothing is decided with a configuration that is too old', async () => {
  const stale = { ...deps, config: { ...deps.config, ageMs: () => 10_000 } };
  await expect(decideCall(stale, callOf())).rejects.toMatchObject({ reason: 'unavailable' });
});
