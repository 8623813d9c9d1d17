import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { AgentState } from '../../gen/portcullis/v1/agent_pb.ts';
import { AgentService } from '../../gen/portcullis/v1/agent_service_pb.ts';
import { ApiKeyService } from '../../gen/portcullis/v1/api_key_service_pb.ts';
import { AuthService } from '../../gen/portcullis/v1/auth_service_pb.ts';
import { PrincipalKind } from '../../gen/portcullis/v1/principal_kind_pb.ts';
import { Scope } from '../../gen/portcullis/v1/scope_pb.ts';
import { readChangesSince, readConfigVersion } from '../../src/db/config-changes.ts';
import { openDatabase } from '../../src/db/store.ts';
import type { Principal } from '../../src/domain/principal.ts';
import { createTestDatabaseUrl } from '../support/postgres.ts';
import { addUser, createInstallation, type Installation, refusalOf, withRights } from './installation.ts';

const bySlug = (slug: string) => ({ value: { case: 'slug' as const, value: slug } });
const byId = (id: string) => ({ value: { case: 'id' as const, value: id } });

const DATABASES = [
  ['memory', () => openDatabase({ kind: 'memory' })],
  ['postgres', async () => openDatabase({ kind: 'postgres', url: await createTestDatabaseUrl() })],
] as const;

describe.each(DATABASES)('an agent on %s', (kind, open) => {
  let gateway: Installation;
  let operator: Principal;

  beforeEach(async () => {
    gateway = await createInstallation({ store: await open() });
    operator = withRights(gateway.admin, 'gateway:read', 'gateway:write', 'tools:call');
  });
  afterEach(() => gateway.close());

  const agents = (caller = operator) => gateway.as(caller, AgentService);

  it('is made ACTIVE, and read by slug and by id', async () => {
    const { agent } = await agents().createAgent({
      slug: 'billing-bot',
      displayName: 'Billing',
      description: 'Pays invoices.',
      ownerId: gateway.admin.id,
      teams: { teams: ['finance', 'bots'] },
    });
    expect(agent).toMatchObject({
      id: expect.stringMatching(/^[0-9a-f-]{36}$/),
      projectId: gateway.admin.projectId,
      slug: 'billing-bot',
      displayName: 'Billing',
      description: 'Pays invoices.',
      state: AgentState.ACTIVE,
      ownerId: gateway.admin.id,
      teams: ['finance', 'bots'],
      etag: '1',
    });
    expect((await agents().getAgent({ agent: bySlug('billing-bot') })).agent).toEqual(agent);
    expect((await agents().getAgent({ agent: byId(agent?.id ?? '') })).agent).toEqual(agent);
  });

  it('has a slug of its own in the project', async () => {
    await agents().createAgent({ slug: 'bot' });
    expect(await refusalOf(agents().createAgent({ slug: 'bot' }))).toMatchObject({ code: 'AlreadyExists' });
    await agents(gateway.otherAdmin).createAgent({ slug: 'bot' });
  });

  it('is made once by repeats with one request id', async () => {
    const request = { requestId: 'bot-1', slug: 'bot' };
    const first = await agents().createAgent(request);
    expect(await agents().createAgent(request)).toEqual(first);
    expect((await agents().listAgents({})).agents).toHaveLength(1);
  });

  it('keeps what an update does not set, and loses what it sets to empty', async () => {
    const all = { description: 'x', ownerId: gateway.admin.id, teams: { teams: ['finance'] } };
    await agents().createAgent({ slug: 'bot', ...all });
    const named = await agents().updateAgent({ agent: bySlug('bot'), etag: '1', displayName: 'Bot' });
    expect(named.agent).toMatchObject({
      displayName: 'Bot',
      description: 'x',
      ownerId: gateway.admin.id,
      teams: ['finance'],
      state: AgentState.ACTIVE,
      etag: '2',
    });
    const { agent } = await agents().updateAgent({
      agent: bySlug('bot'),
      description: '',
      ownerId: '',
      teams: { teams: [] },
    });
    expect(agent).toMatchObject({ displayName: 'Bot', description: '', ownerId: '', teams: [], etag: '3' });
    expect((await agents().getAgent({ agent: bySlug('bot') })).agent).toEqual(agent);
  });

  it.runIf(kind === 'postgres')('is not made of a text that cannot be stored', async () => {
    for (const request of [
      () => agents().createAgent({ slug: 'bot', displayName: 'a\0b' }),
      () => agents().getAgent({ agent: bySlug('bot\0') }),
    ]) {
      expect(await refusalOf(request())).toMatchObject({
        code: 'InvalidArgument',
        message: 'A text of the request holds a NUL character, which cannot be stored. Leave it out.',
      });
    }
  });

  it('is suspended and made ACTIVE again, but revoked for good', async () => {
    await agents().createAgent({ slug: 'bot' });
    const to = (state: AgentState) => agents().updateAgent({ agent: bySlug('bot'), state });
    for (const state of [AgentState.SUSPENDED, AgentState.ACTIVE, AgentState.REVOKED, AgentState.REVOKED]) {
      expect((await to(state)).agent?.state).toBe(state);
    }
    for (const state of [AgentState.SUSPENDED, AgentState.ACTIVE]) {
      expect(await refusalOf(to(state))).toMatchObject({
        code: 'FailedPrecondition',
        message: "The agent 'bot' is REVOKED for good. Create another one.",
        metadata: { condition: 'revoked' },
      });
    }
    expect((await agents().updateAgent({ agent: bySlug('bot'), displayName: 'x' })).agent).toMatchObject({
      state: AgentState.REVOKED,
      displayName: 'x',
    });
  });

  it('is owned by a user of its project only', async () => {
    await agents().createAgent({ slug: 'bot' });
    const violations = [{ field: 'owner_id', description: 'must be the id of a user of the project' }];
    for (const ownerId of [gateway.otherAdmin.id, '0199aaaa-0000-7000-8000-000000000000']) {
      expect(await refusalOf(agents().createAgent({ slug: 'other', ownerId }))).toMatchObject({ violations });
      expect(await refusalOf(agents().updateAgent({ agent: bySlug('bot'), ownerId }))).toMatchObject({ violations });
    }
  });

  it('loses its owner when that user is deleted', async () => {
    const { id } = await addUser(gateway.store, gateway.admin.projectId, 'ann', ['gateway:read']);
    await agents().createAgent({ slug: 'bot', ownerId: id });
    await gateway.as(gateway.admin, AuthService).deleteUser({ id });
    expect((await agents().getAgent({ agent: bySlug('bot') })).agent).toMatchObject({ ownerId: '', etag: '2' });
  });

  it('is not changed or deleted with a stale etag', async () => {
    await agents().createAgent({ slug: 'bot' });
    await agents().updateAgent({ agent: bySlug('bot'), displayName: 'x' });
    const stale = { code: 'Aborted', reason: 'ERROR_REASON_ETAG_MISMATCH', metadata: { resource: 'agent' } };
    const update = agents().updateAgent({ agent: bySlug('bot'), etag: '1', state: AgentState.REVOKED });
    expect(await refusalOf(update)).toMatchObject(stale);
    expect(await refusalOf(agents().deleteAgent({ agent: bySlug('bot'), etag: '1' }))).toMatchObject(stale);
    expect((await agents().getAgent({ agent: bySlug('bot') })).agent).toMatchObject({ state: AgentState.ACTIVE });
  });

  it('is deleted with its keys, and every replica hears of it', async () => {
    const { agent } = await agents().createAgent({ slug: 'bot' });
    const keys = gateway.as(operator, ApiKeyService);
    const { apiKey } = await keys.createApiKey({ ownerId: agent?.id ?? '', scopes: [Scope.TOOLS_CALL] });
    const before = await readConfigVersion(gateway.store.db);
    await agents().deleteAgent({ agent: bySlug('bot'), etag: '1' });
    expect(await readChangesSince(gateway.store.db, before)).toMatchObject([{ kind: 'agent', entityId: agent?.id }]);
    expect(await refusalOf(agents().getAgent({ agent: bySlug('bot') }))).toMatchObject({ code: 'PermissionDenied' });
    expect(await refusalOf(keys.getApiKey({ id: apiKey?.id ?? '' }))).toMatchObject({ code: 'PermissionDenied' });
    expect((await gateway.as(gateway.admin, ApiKeyService).listApiKeys({})).apiKeys).toEqual([]);
  });

  it('of another project looks like one that does not exist', async () => {
    const { agent } = await agents().createAgent({ slug: 'bot' });
    const stranger = agents(gateway.otherAdmin);
    const [real, invented] = [agent?.id ?? '', '0199aaaa-0000-7000-8000-000000000000'];
    for (const [ref, name] of [
      [byId(real), real],
      [byId(invented), invented],
      [bySlug('bot'), 'bot'],
    ] as const) {
      for (const request of [
        () => stranger.getAgent({ agent: ref }),
        () => stranger.updateAgent({ agent: ref, displayName: 'mine' }),
        () => stranger.deleteAgent({ agent: ref }),
      ]) {
        expect(await refusalOf(request())).toMatchObject({
          code: 'PermissionDenied',
          message: `The credential has no access to the agent "${name}" (or it might not exist).`,
        });
      }
    }
  });

  it('is listed page by page', async () => {
    for (const slug of ['a', 'b', 'c']) {
      await agents().createAgent({ slug });
    }
    const first = await agents().listAgents({ pageSize: 2 });
    expect(first.agents).toHaveLength(2);
    const second = await agents().listAgents({ pageSize: 2, pageToken: first.nextPageToken });
    const slugs = [...first.agents, ...second.agents].map(({ slug }) => slug);
    expect(slugs.sort()).toEqual(['a', 'b', 'c']);
    expect(second.nextPageToken).toBe('');
    expect((await agents(gateway.otherAdmin).listAgents({})).agents).toEqual([]);
  });

  it('is not managed by a credential whose grants name upstreams, though it may read', async () => {
    await agents().createAgent({ slug: 'bot' });
    const limited = agents({ ...operator, grants: new Set() });
    const refusal = {
      code: 'PermissionDenied',
      message:
        'A credential whose grants name upstreams or gateways cannot manage agents, whose teams decide what they may do on all of them. Use one that reaches all upstreams.',
    };
    for (const request of [
      () => limited.createAgent({ slug: 'mine' }),
      () => limited.updateAgent({ agent: bySlug('bot'), teams: { teams: ['admins'] } }),
      () => limited.deleteAgent({ agent: bySlug('bot') }),
    ]) {
      expect(await refusalOf(request())).toMatchObject(refusal);
    }
    expect((await limited.getAgent({ agent: bySlug('bot') })).agent).toMatchObject({ teams: [] });
  });
});

describe('the keys of agents', () => {
  let gateway: Installation;
  let botId: string;

  beforeEach(async () => {
    gateway = await createInstallation();
    const { agent } = await gateway.as(gateway.admin, AgentService).createAgent({ slug: 'bot' });
    botId = agent?.id ?? '';
  });
  afterEach(() => gateway.close());

  const scopes = [Scope.TOOLS_CALL];

  it('name their owner and its kind', async () => {
    const keys = gateway.as(withRights(gateway.admin, 'gateway:write', 'tools:call'), ApiKeyService);
    const { apiKey } = await keys.createApiKey({ ownerId: botId, scopes });
    expect(apiKey).toMatchObject({ ownerKind: PrincipalKind.AGENT, ownerId: botId, scopes });
    expect((await keys.createApiKey({ scopes })).apiKey).toMatchObject({ ownerKind: PrincipalKind.USER });
  });

  it('are seen by whoever manages agents, besides its own keys; not those of other users', async () => {
    const bob = await addUser(gateway.store, gateway.admin.projectId, 'bob', [
      'gateway:read',
      'gateway:write',
      'tools:call',
    ]);
    const admin = gateway.as(gateway.admin, ApiKeyService);
    const adminKey = await admin.createApiKey({ scopes });
    const botKey = await admin.createApiKey({ ownerId: botId, scopes });
    const bobKey = await gateway.as(bob, ApiKeyService).createApiKey({ scopes });
    const idsOf = async (caller: Principal, ownerId = '') =>
      (await gateway.as(caller, ApiKeyService).listApiKeys({ ownerId })).apiKeys.map(({ id }) => id).sort();
    const [adminId = '', botKeyId = '', bobId = ''] = [adminKey, botKey, bobKey].map(({ apiKey }) => apiKey?.id);

    expect(await idsOf(gateway.admin)).toEqual([adminId, botKeyId, bobId].sort());
    expect(await idsOf(bob)).toEqual([botKeyId, bobId].sort());
    expect(await idsOf(bob, botId)).toEqual([botKeyId]);
    expect(await idsOf(bob, bob.id)).toEqual([bobId]);
    expect((await gateway.as(bob, ApiKeyService).getApiKey({ id: botKeyId })).apiKey).toEqual(botKey.apiKey);

    for (const caller of [withRights(bob, 'gateway:read'), { ...bob, grants: new Set<never>() }]) {
      expect(await idsOf(caller)).toEqual([bobId]);
      const reads = gateway.as(caller, ApiKeyService);
      expect(await refusalOf(reads.getApiKey({ id: botKeyId }))).toMatchObject({ code: 'PermissionDenied' });
      expect(await refusalOf(reads.listApiKeys({ ownerId: botId }))).toMatchObject({ code: 'PermissionDenied' });
    }
    expect(await refusalOf(gateway.as(bob, ApiKeyService).listApiKeys({ ownerId: gateway.admin.id }))).toMatchObject({
      code: 'PermissionDenied',
      message: `The credential has no access to the owner "${gateway.admin.id}" (or it might not exist).`,
    });
  });

  it('are found page by page among the keys of others', async () => {
    const bob = await addUser(gateway.store, gateway.admin.projectId, 'bob', [
      'gateway:read',
      'gateway:write',
      'tools:call',
    ]);
    const admin = gateway.as(gateway.admin, ApiKeyService);
    const wanted: string[] = [];
    for (const ownerId of [botId, '', botId, '', botId]) {
      const { apiKey } = await admin.createApiKey({ ownerId, scopes });
      wanted.push(...(ownerId === botId ? [apiKey?.id ?? ''] : []));
    }
    const found: string[] = [];
    let pageToken = '';
    do {
      const page = await gateway.as(bob, ApiKeyService).listApiKeys({ pageSize: 2, pageToken });
      found.push(...page.apiKeys.map(({ id }) => id));
      pageToken = page.nextPageToken;
    } while (pageToken !== '');
    expect(found.sort()).toEqual(wanted.sort());
  });

  it('never carry scopes that are for humans', async () => {
    const keys = gateway.as(gateway.admin, ApiKeyService);
    for (const scope of [Scope.ADMIN, Scope.APPROVALS_DECIDE]) {
      const refusal = await refusalOf(keys.createApiKey({ ownerId: botId, scopes: [scope] }));
      expect(refusal.violations).toMatchObject([{ field: 'scopes' }]);
    }
  });
});
