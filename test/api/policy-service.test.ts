import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { EnforcementMode } from '../../gen/portcullis/v1/policy_pb.ts';
import { Effect, RateScope } from '../../gen/portcullis/v1/policy_rule_pb.ts';
import { PolicyService } from '../../gen/portcullis/v1/policy_service_pb.ts';
import { PrincipalKind } from '../../gen/portcullis/v1/principal_kind_pb.ts';
import { readChangesSince, readConfigVersion } from '../../src/db/config-changes.ts';
import { openDatabase } from '../../src/db/store.ts';
import type { Principal } from '../../src/domain/principal.ts';
import { createTestDatabaseUrl } from '../support/postgres.ts';
import { createInstallation, type Installation, refusalOf, withRights } from './installation.ts';

const bySlug = (slug: string) => ({ value: { case: 'slug' as const, value: slug } });
const byId = (id: string) => ({ value: { case: 'id' as const, value: id } });

const everything = [{ toolPattern: '*' }];
const effect = (value: Effect, id = 'all') => ({ id, kind: { case: 'effect' as const, value: { effect: value } } });
const deny = { targets: everything, rules: [effect(Effect.DENY)] };
const allow = { targets: everything, rules: [effect(Effect.ALLOW)] };
const condition = (expression: string) => ({
  id: 'c',
  kind: { case: 'condition' as const, value: { expression, effect: Effect.DENY } },
});
const regex = (pattern: string) => ({
  id: 'r',
  kind: {
    case: 'arguments' as const,
    value: { constraints: [{ path: 'a', type: { case: 'string' as const, value: { regex: pattern } } }] },
  },
});
const onlyAfter = (tool: string) => ({
  id: 's',
  kind: { case: 'sequence' as const, value: { onlyAfter: [{ toolPattern: tool }] } },
});

let gateway: Installation;
let writer: Principal;
const policies = (caller = writer) => gateway.as(caller, PolicyService);

async function open(store?: Awaited<ReturnType<typeof openDatabase>>) {
  gateway = await createInstallation(store === undefined ? {} : { store });
  writer = withRights(gateway.admin, 'gateway:read', 'gateway:write');
}

const DATABASES = [
  ['memory', () => openDatabase({ kind: 'memory' })],
  ['postgres', async () => openDatabase({ kind: 'postgres', url: await createTestDatabaseUrl() })],
] as const;

describe.each(DATABASES)('a policy on %s', (_kind, openStore) => {
  beforeEach(async () => open(await openStore()));
  afterEach(() => gateway.close());

  it('is made with version 1, and read by slug and by id', async () => {
    const before = await readConfigVersion(gateway.store.db);
    const { policy } = await policies().createPolicy({ slug: 'no-deletes', content: deny });
    expect(policy).toMatchObject({
      id: expect.stringMatching(/^[0-9a-f-]{36}$/),
      projectId: gateway.admin.projectId,
      slug: 'no-deletes',
      content: {
        mode: EnforcementMode.ENFORCE,
        targets: [{ upstreamPattern: '*', toolPattern: '*' }],
        rules: [effect(Effect.DENY)],
      },
      version: 1,
      latestVersion: 1,
      etag: '1',
    });
    expect((await policies().getPolicy({ policy: bySlug('no-deletes') })).policy).toEqual(policy);
    expect((await policies().getPolicy({ policy: byId(policy?.id ?? '') })).policy).toEqual(policy);
    expect((await policies().listPolicies({})).policies).toEqual([policy]);
    expect(await readChangesSince(gateway.store.db, before)).toMatchObject([{ kind: 'policy', entityId: policy?.id }]);
  });

  it('has a slug of its own in the project', async () => {
    await policies().createPolicy({ slug: 'p', content: deny });
    expect(await refusalOf(policies().createPolicy({ slug: 'p', content: allow }))).toMatchObject({
      code: 'AlreadyExists',
    });
    await policies(gateway.otherAdmin).createPolicy({ slug: 'p', content: deny });
  });

  it('is made once by repeats with one request id', async () => {
    const request = { requestId: 'p-1', slug: 'p', content: deny };
    const answers = await Promise.all([1, 2, 3].map(() => policies().createPolicy(request)));
    expect(new Set(answers.map(({ policy }) => policy?.id)).size).toBe(1);
    expect((await policies().listPolicies({})).policies).toHaveLength(1);
  });

  it('gets a new version in force by content, and one that waits by draft', async () => {
    await policies().createPolicy({ slug: 'p', content: deny });
    const update = async (change: Parameters<ReturnType<typeof policies>['updatePolicy']>[0]['change']) =>
      (await policies().updatePolicy({ policy: bySlug('p'), ...(change === undefined ? {} : { change }) })).policy;
    expect(await update({ case: 'content', value: allow })).toMatchObject({
      content: { rules: [effect(Effect.ALLOW)] },
      version: 2,
      latestVersion: 2,
      etag: '2',
    });
    const draft = { ...deny, displayName: 'Draft', mode: EnforcementMode.SHADOW };
    expect(await update({ case: 'draft', value: draft })).toMatchObject({
      content: { displayName: '', rules: [effect(Effect.ALLOW)] },
      version: 2,
      latestVersion: 3,
      etag: '3',
    });
    expect(await update({ case: 'version', value: 3 })).toMatchObject({
      content: { displayName: 'Draft', mode: EnforcementMode.SHADOW, rules: [effect(Effect.DENY)] },
      version: 3,
      latestVersion: 3,
    });
    expect(await update({ case: 'version', value: 1 })).toMatchObject({
      content: { displayName: '', mode: EnforcementMode.ENFORCE },
      version: 1,
      latestVersion: 3,
    });
    expect(await update({ case: 'content', value: allow })).toMatchObject({ version: 4, latestVersion: 4 });
  });

  it('keeps its history with who wrote what, newest first, page by page', async () => {
    const agent: Principal = { ...writer, kind: 'agent', id: writer.id, name: 'deployer', agentState: 'active' };
    await policies().createPolicy({ slug: 'p', content: deny });
    await policies(agent).updatePolicy({ policy: bySlug('p'), change: { case: 'draft', value: allow } });
    await policies().updatePolicy({ policy: bySlug('p'), change: { case: 'content', value: deny } });
    const first = await policies().listPolicyVersions({ policy: bySlug('p'), pageSize: 2 });
    expect(first.versions).toMatchObject([
      { version: 3, authorKind: PrincipalKind.USER, authorId: writer.id, authorName: 'admin' },
      {
        version: 2,
        content: { rules: [effect(Effect.ALLOW)] },
        authorKind: PrincipalKind.AGENT,
        authorName: 'deployer',
      },
    ]);
    const rest = await policies().listPolicyVersions({
      policy: bySlug('p'),
      pageSize: 2,
      pageToken: first.nextPageToken,
    });
    expect(rest).toMatchObject({
      versions: [{ version: 1, content: { rules: [effect(Effect.DENY)] } }],
      nextPageToken: '',
    });
    expect(Number(rest.versions[0]?.createTime?.seconds)).toBeGreaterThan(1_700_000_000);
    await policies().createPolicy({ slug: 'q', content: deny });
    const foreign = policies().listPolicyVersions({ policy: bySlug('q'), pageToken: first.nextPageToken });
    expect(await refusalOf(foreign)).toMatchObject({ reason: 'ERROR_REASON_PAGE_TOKEN_INVALID' });
  });

  it('is not changed or deleted with a stale etag', async () => {
    await policies().createPolicy({ slug: 'p', content: deny });
    await policies().updatePolicy({ policy: bySlug('p'), etag: '1', change: { case: 'draft', value: allow } });
    const stale = { code: 'Aborted', reason: 'ERROR_REASON_ETAG_MISMATCH', metadata: { resource: 'policy' } };
    const update = policies().updatePolicy({ policy: bySlug('p'), etag: '1', change: { case: 'version', value: 2 } });
    expect(await refusalOf(update)).toMatchObject(stale);
    expect(await refusalOf(policies().deletePolicy({ policy: bySlug('p'), etag: '1' }))).toMatchObject(stale);
    expect((await policies().getPolicy({ policy: bySlug('p') })).policy).toMatchObject({
      version: 1,
      latestVersion: 2,
    });
  });

  it('is changed by one of two who read the same', async () => {
    await policies().createPolicy({ slug: 'p', content: deny });
    const change = { case: 'content' as const, value: allow };
    const results = await Promise.allSettled(
      [1, 2].map(() => policies().updatePolicy({ policy: bySlug('p'), etag: '1', change })),
    );
    expect(results.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
    expect((await policies().listPolicyVersions({ policy: bySlug('p') })).versions).toHaveLength(2);
  });

  it('is deleted with its history', async () => {
    await policies().createPolicy({ slug: 'p', content: deny });
    await policies().deletePolicy({ policy: bySlug('p'), etag: '1' });
    expect(await refusalOf(policies().getPolicy({ policy: bySlug('p') }))).toMatchObject({ code: 'PermissionDenied' });
    const { policy } = await policies().createPolicy({ slug: 'p', content: allow });
    expect((await policies().listPolicyVersions({ policy: byId(policy?.id ?? '') })).versions).toHaveLength(1);
  });

  it('is one of a thousand in its project at most', async () => {
    const { policy } = await policies().createPolicy({ slug: 'p', content: deny });
    const [row] = await gateway.store.db.selectFrom('policies').selectAll().execute();
    const copies = Array.from({ length: 999 }, (_, index) => ({ ...row, id: `copy-${index}`, slug: `copy-${index}` }));
    for (let at = 0; at < copies.length; at += 100) {
      // The row that was read is whole.
      await gateway.store.db
        .insertInto('policies')
        .values(copies.slice(at, at + 100) as never)
        .execute();
    }
    expect(await refusalOf(policies().createPolicy({ slug: 'q', content: deny }))).toMatchObject({
      code: 'ResourceExhausted',
      reason: 'ERROR_REASON_PLAN_LIMIT_EXCEEDED',
      metadata: { limit: '1000' },
    });
    await policies(gateway.otherAdmin).createPolicy({ slug: 'q', content: deny });
    await policies().updatePolicy({ policy: byId(policy?.id ?? ''), change: { case: 'content', value: allow } });
    await policies().deletePolicy({ policy: bySlug('copy-1') });
    await policies().createPolicy({ slug: 'q', content: deny });
  });
});

describe('a policy', () => {
  beforeEach(() => open());
  afterEach(() => gateway.close());

  it('of another project looks like one that does not exist', async () => {
    const { policy } = await policies().createPolicy({ slug: 'p', content: deny });
    const stranger = policies(gateway.otherAdmin);
    const change = { case: 'content' as const, value: allow };
    for (const name of [policy?.id ?? '', '0199aaaa-0000-7000-8000-000000000000']) {
      const ref = byId(name);
      for (const request of [
        () => stranger.getPolicy({ policy: ref }),
        () => stranger.listPolicyVersions({ policy: ref }),
        () => stranger.updatePolicy({ policy: ref, change }),
        () => stranger.deletePolicy({ policy: ref }),
      ]) {
        expect(await refusalOf(request())).toMatchObject({
          code: 'PermissionDenied',
          message: `The credential has no access to the policy "${name}" (or it might not exist).`,
        });
      }
    }
  });

  it('of another project is managed by an operator who names the project', async () => {
    const project = bySlug('other');
    const operator = policies(gateway.admin);
    const { policy } = await operator.createPolicy({ project, slug: 'p', content: deny });
    expect(policy?.projectId).toBe(gateway.otherAdmin.projectId);
    await operator.updatePolicy({ project, policy: bySlug('p'), change: { case: 'content', value: allow } });
    expect((await policies(gateway.otherAdmin).getPolicy({ policy: bySlug('p') })).policy).toMatchObject({
      version: 2,
    });
    expect((await operator.listPolicies({})).policies).toEqual([]);
  });

  it('is not changed by a credential whose grants name upstreams, though it may read', async () => {
    await policies().createPolicy({ slug: 'p', content: deny });
    const limited = policies({ ...writer, grants: new Set() });
    for (const request of [
      () => limited.createPolicy({ slug: 'q', content: allow }),
      () => limited.updatePolicy({ policy: bySlug('p'), change: { case: 'content', value: allow } }),
      () => limited.deletePolicy({ policy: bySlug('p') }),
    ]) {
      expect(await refusalOf(request())).toMatchObject({
        code: 'PermissionDenied',
        message:
          'A credential whose grants name upstreams or gateways cannot change policies, which decide for all of them. Use one that reaches all upstreams.',
      });
    }
    expect((await limited.listPolicies({})).policies).toMatchObject([{ slug: 'p', version: 1 }]);
  });

  it('is made by nobody who may only read', async () => {
    const reader = policies(withRights(writer, 'gateway:read'));
    expect(await refusalOf(reader.createPolicy({ slug: 'p', content: deny }))).toMatchObject({
      metadata: { required_permissions: 'gateway:write' },
    });
  });

  it('is refused when it could not work, with the place', async () => {
    const content = { targets: everything, rules: [effect(Effect.DENY), condition('call.nonsense == 1'), regex('(')] };
    const places = (field: string) => [
      { field: `${field}.rules[1].condition.expression`, description: expect.stringContaining('nonsense') },
      { field: `${field}.rules[2].arguments.constraints[0].string.regex` },
    ];
    expect(await refusalOf(policies().createPolicy({ slug: 'p', content }))).toMatchObject({
      code: 'InvalidArgument',
      violations: places('content'),
    });
    expect((await policies().listPolicies({})).policies).toEqual([]);
    await policies().createPolicy({ slug: 'p', content: deny });
    for (const field of ['content', 'draft'] as const) {
      const update = policies().updatePolicy({ policy: bySlug('p'), change: { case: field, value: content } });
      expect(await refusalOf(update)).toMatchObject({ violations: places(field) });
    }
    expect((await policies().listPolicyVersions({ policy: bySlug('p') })).versions).toHaveLength(1);
  });

  it('is refused when its sequence and that of another policy wait for each other, also when it is put in force later', async () => {
    const waiting = (tool: string, before: string) => ({
      targets: [{ toolPattern: tool }],
      rules: [onlyAfter(before)],
    });
    await policies().createPolicy({ slug: 'b-after-a', content: waiting('b', 'a') });
    const cycle = await refusalOf(policies().createPolicy({ slug: 'a-after-b', content: waiting('a', 'b') }));
    expect(cycle.violations).toMatchObject([{ field: 'content.rules[0].sequence.only_after' }]);
    // What could work when it was written need not later on.
    await policies().deletePolicy({ policy: bySlug('b-after-a') });
    await policies().createPolicy({ slug: 'a-after-b', content: waiting('a', 'b') });
    await policies().updatePolicy({ policy: bySlug('a-after-b'), change: { case: 'content', value: deny } });
    await policies().createPolicy({ slug: 'b-after-a', content: waiting('b', 'a') });
    const back = policies().updatePolicy({ policy: bySlug('a-after-b'), change: { case: 'version', value: 1 } });
    expect((await refusalOf(back)).violations).toMatchObject([
      {
        field: 'version',
        description: expect.stringMatching(/^cannot be put in force: content\.rules\[0\]\.sequence/),
      },
    ]);
    expect((await policies().getPolicy({ policy: bySlug('a-after-b') })).policy?.version).toBe(2);
  });

  it('does not wait for itself: it may be saved again', async () => {
    const content = { targets: [{ toolPattern: 'b' }], rules: [onlyAfter('a')] };
    await policies().createPolicy({ slug: 'p', content });
    const again = await policies().updatePolicy({ policy: bySlug('p'), change: { case: 'content', value: content } });
    expect(again.policy?.version).toBe(2);
    const opposite = { targets: [{ toolPattern: 'a' }], rules: [onlyAfter('b')] };
    await policies().updatePolicy({ policy: bySlug('p'), change: { case: 'content', value: opposite } });
  });

  it('goes to versions that it has only', async () => {
    await policies().createPolicy({ slug: 'p', content: deny });
    const update = policies().updatePolicy({ policy: bySlug('p'), change: { case: 'version', value: 2 } });
    expect((await refusalOf(update)).violations).toEqual([
      { field: 'version', description: 'must be a version of the policy, from 1 to 1' },
    ]);
  });

  it('of 500 rules is taken, of more is refused, and of many mistakes only the first are told', async () => {
    const rules = Array.from({ length: 500 }, (_, index) => effect(Effect.DENY, `rule-${index}`));
    const { policy } = await policies().createPolicy({ slug: 'p', content: { targets: everything, rules } });
    expect(policy?.content?.rules).toHaveLength(500);
    const more = { targets: everything, rules: [...rules, effect(Effect.DENY, 'one-more')] };
    expect((await refusalOf(policies().createPolicy({ slug: 'q', content: more }))).violations).toMatchObject([
      { field: 'content.rules' },
    ]);
    const broken = rules.map(({ id }) => ({ ...regex('('), id }));
    const refusal = await refusalOf(
      policies().createPolicy({ slug: 'q', content: { targets: everything, rules: broken } }),
    );
    expect(refusal.violations).toHaveLength(20);
    expect(refusal.message).toMatch(/; and 480 more$/);
  });

  it('of which reading would take long is refused with the first rule that has no room, and so is what a project has no room for', async () => {
    const large = (from: number, count: number) => ({
      targets: everything,
      rules: Array.from({ length: count }, (_, at) => ({ ...regex(`(a|b){1,99}${from + at}`), id: `r${at}` })),
    });
    const start = performance.now();
    expect((await refusalOf(policies().createPolicy({ slug: 'p', content: large(0, 500) }))).violations).toEqual([
      {
        field: 'content.rules[48].arguments.constraints[0].string.regex',
        description: 'the regular expressions of the policy are too large together: this is the first that has no room',
      },
    ]);
    for (let index = 0; index < 10; index++) {
      await policies().createPolicy({ slug: `p${index}`, content: large(1000 * index, 48) });
    }
    const full = [{ field: 'content.rules', description: expect.stringContaining('of the project are too large') }];
    const content = large(20_000, 48);
    expect((await refusalOf(policies().createPolicy({ slug: 'q', content }))).violations).toEqual(full);
    await policies().createPolicy({ slug: 'q', content: { ...content, mode: EnforcementMode.OFF } });
    const on = policies().updatePolicy({ policy: bySlug('q'), change: { case: 'content', value: content } });
    expect((await refusalOf(on)).violations).toEqual(full);
    await policies().updatePolicy({ policy: bySlug('p0'), change: { case: 'content', value: deny } });
    await policies().updatePolicy({ policy: bySlug('q'), change: { case: 'content', value: content } });
    expect(performance.now() - start).toBeLessThan(5000);
  });

  it('is checked in its form before it is written', async () => {
    const one = policies();
    const twice = { targets: everything, rules: [effect(Effect.DENY, 'x'), effect(Effect.ALLOW, 'x')] };
    expect((await refusalOf(one.createPolicy({ slug: 'p', content: twice }))).violations).toEqual([
      { field: 'content', description: 'each rule id may be used once' },
    ]);
    const star = { targets: [{ toolPattern: 'a*b' }], rules: [] };
    expect((await refusalOf(one.createPolicy({ slug: 'p', content: star }))).violations).toMatchObject([
      { field: 'content.targets[0].tool_pattern' },
    ]);
    expect((await refusalOf(one.createPolicy({ slug: 'p' }))).violations).toMatchObject([{ field: 'content' }]);
    expect((await refusalOf(one.createPolicy({ slug: 'P', content: deny }))).violations).toMatchObject([
      { field: 'slug' },
    ]);
    const unset = { targets: everything, rules: [{ id: 'x' }] };
    expect((await refusalOf(one.createPolicy({ slug: 'p', content: unset }))).violations).toMatchObject([
      { field: 'content.rules[0].kind' },
    ]);
  });

  it('keeps ids of rules that the server made when it is saved again, so that their state stays', async () => {
    const rate = { kind: { case: 'rate' as const, value: { maxCalls: 5, windowSeconds: 60, per: RateScope.AGENT } } };
    const content = { targets: everything, rules: [rate] };
    const { policy } = await policies().createPolicy({ slug: 'p', content });
    const again = await policies().updatePolicy({
      policy: bySlug('p'),
      change: { case: 'content', value: { targets: everything, rules: [effect(Effect.DENY), rate] } },
    });
    expect(again.policy?.content?.rules[1]?.id).toBe(policy?.content?.rules[0]?.id);
  });
});
