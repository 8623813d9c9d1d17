import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createApprovals } from '../../src/approvals/create-approvals.ts';
import { insertAgent } from '../../src/db/agents.ts';
import { withChange } from '../../src/db/config-changes.ts';
import { insertPolicy } from '../../src/db/policies.ts';
import { insertProject } from '../../src/db/projects.ts';
import { openDatabase } from '../../src/db/store.ts';
import { insertUpstream } from '../../src/db/upstreams.ts';
import { DecisionLog } from '../../src/decisions/decision-log.ts';
import type { Effect } from '../../src/domain/decision.ts';
import type { PrincipalId, UpstreamId } from '../../src/domain/ids.ts';
import type { Principal } from '../../src/domain/principal.ts';
import { createAuthorize } from '../../src/pipeline/authorize.ts';
import type { DecideDeps } from '../../src/pipeline/decide-call.ts';
import { createPolicySets } from '../../src/pipeline/policy-sets.ts';
import { createHotConfig } from '../../src/snapshot/hot-config.ts';
import { agent, PROJECT, policy, project, UPSTREAM, upstream } from '../store/samples.ts';

const V2 = 'upstream-2' as UpstreamId;
const ada: Principal = {
  kind: 'user',
  id: 'ada' as PrincipalId,
  projectId: PROJECT,
  name: 'ada',
  scopes: new Set(['tools:call']),
  grants: 'all',
  teams: [],
};

let deps: DecideDeps;
let close: () => Promise<void>;

/** A project with the upstream `files` in two versions, the agent `crawler`, and a policy about the tools of `files`. */
async function start(effect: Effect): Promise<void> {
  const store = await openDatabase({ kind: 'memory' });
  await insertProject(store.db, project());
  const { ownerId: _none, ...crawler } = agent();
  await insertAgent(store.db, crawler);
  await insertUpstream(store.db, upstream());
  await withChange(store, 'upstream', V2, (trx) => insertUpstream(trx, upstream({ id: V2, version: 'v2' })));
  const sample = policy();
  const content = {
    ...sample.content,
    targets: [{ upstreamPattern: 'files', toolPattern: '*' }],
    rules: [{ id: 'all', message: '', says: { kind: 'effect' as const, effect } }],
  };
  await insertPolicy(store.db, { ...sample, content }, { kind: 'user', id: ada.id, name: 'ada' });
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
}

afterEach(() => close());

const authorize = (named: string, principal = ada) =>
  createAuthorize(deps)({
    principal,
    authenticate: () => principal,
    agent: 'crawler',
    tool: 'read_file',
    arguments: {},
    requestBytes: 2,
    session: '',
    upstream: named,
    approvalWaitMs: 0,
    requestId: 'request-1',
    signal: new AbortController().signal,
  });

describe('a question about a call to an upstream', () => {
  beforeEach(() => start('deny'));

  test.each([
    ['files', 'v1'],
    ['files@v1', 'v1'],
    ['files@v2', 'v2'],
    ['files@v9', 'v9'],
    [UPSTREAM, 'v1'],
    [V2, 'v2'],
  ])('%s is decided by the policies about its slug, and recorded with its version', async (named, version) => {
    const { decision } = await authorize(named);
    expect(decision).toMatchObject({
      effect: 'deny',
      ruleIds: ['no-deletes/all'],
      upstreamSlug: 'files',
      upstreamVersion: version,
    });
    expect(decision).not.toHaveProperty('upstreamId');
  });

  test.each(['', 'mail', '@v1'])("'%s' is not one about another", async (named) => {
    const { decision } = await authorize(named);
    expect(decision).toMatchObject({ effect: 'allow', reason: 'project_default' });
  });

  test('needs a grant of the version that it names', async () => {
    const limited = { ...ada, grants: new Set([V2]) };
    expect((await authorize('files@v2', limited)).decision.upstreamVersion).toBe('v2');
    for (const named of ['files', 'files@v9']) {
      await expect(authorize(named, limited)).rejects.toMatchObject({ reason: 'permission_denied' });
    }
  });
});

test('an approval of one version, known here or not, is not good for another', async () => {
  await start('require_approval');
  const names = ['files', 'files@v2', 'files@v9'];
  const asked = new Map<string, string | undefined>();
  for (const named of names) asked.set(named, (await authorize(named)).approval?.upstreamSlug);
  expect(Object.fromEntries(asked)).toEqual({ files: 'files', 'files@v2': 'files@v2', 'files@v9': 'files@v9' });
  const ids = await Promise.all(names.map(async (named) => (await authorize(named)).approval?.id));
  expect(new Set(ids).size).toBe(3);
  expect((await authorize('files@v1')).approval?.id).toBe(ids[0]);
  expect((await authorize(V2)).approval?.id).toBe(ids[1]);
});
