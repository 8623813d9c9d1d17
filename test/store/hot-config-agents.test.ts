import { describe, expect, it, onTestFinished } from 'vitest';
import { deleteAgent, insertAgent, updateAgent } from '../../src/db/agents.ts';
import { insertApiKey } from '../../src/db/api-keys.ts';
import { withChange, withChanges } from '../../src/db/config-changes.ts';
import { deletePolicy, insertPolicy, updatePolicy } from '../../src/db/policies.ts';
import { insertProject } from '../../src/db/projects.ts';
import type { Store } from '../../src/db/store.ts';
import { updateUser } from '../../src/db/users.ts';
import type { ApiKeyId, PolicyId, PrincipalId, ProjectId } from '../../src/domain/ids.ts';
import { createHotConfig } from '../../src/snapshot/hot-config.ts';
import { databases, openUntilTestEnds } from './databases.ts';
import { AGENT, agent, apiKey, insertOwner, KEY, NOW, POLICY, PROJECT, policy, project, USER } from './samples.ts';

const AUTHOR = { kind: 'user', id: 'user-1', name: 'ada' } as const;

/** Polling is off, so that what is seen came by the doorbell. */
async function follow(store: Store) {
  const config = await createHotConfig(store, { pollMs: 1_000_000 });
  onTestFinished(() => config.close());
  return config;
}

describe.each(databases)('agents, policies and approvals in the hot configuration on $name', ({ locate }) => {
  it('finds the key of an agent as the agent, with no scope that only users may have', async () => {
    const store = await openUntilTestEnds(await locate());
    await insertOwner(store.db);
    await insertAgent(store.db, agent({ teams: ['crawlers'] }));
    const scopes = ['tools:call', 'gateway:read', 'approvals:decide', 'admin'] as const;
    await insertApiKey(store.db, apiKey({ ownerKind: 'agent', ownerId: AGENT, scopes }));
    const config = await follow(store);

    expect(config.findKey('hash-1')).toEqual({
      principal: {
        kind: 'agent',
        id: 'agent-1',
        projectId: 'project-1',
        name: 'crawler',
        scopes: new Set(['tools:call', 'gateway:read']),
        grants: 'all',
        teams: ['crawlers'],
        agentState: 'active',
        ownerId: 'user-1',
        apiKeyId: 'key-1',
        keyPrefix: 'pc_aaaaaaaa',
      },
      revoked: false,
      ownerDisabled: false,
    });
  });

  it('follows agents: keys of one that is not active still tell who it is, those of one that is deleted are gone', async () => {
    const store = await openUntilTestEnds(await locate());
    await insertOwner(store.db);
    const config = await follow(store);
    await withChanges(store, async (trx, changed) => {
      await insertApiKey(trx, apiKey({ ownerKind: 'agent', ownerId: AGENT }));
      changed('api_key', KEY);
      await insertAgent(trx, agent());
      changed('agent', AGENT);
    });
    expect(config.findKey('hash-1')?.principal.name).toBe('crawler');
    await withChange(store, 'agent', AGENT, (trx) =>
      updateAgent(trx, AGENT, 1, { state: 'suspended', ownerId: undefined, teams: [], updateTime: NOW }),
    );
    const { principal, ownerDisabled } = config.findKey('hash-1') ?? {};
    expect(principal).toMatchObject({ agentState: 'suspended', teams: [] });
    expect(principal).not.toHaveProperty('ownerId');
    expect(ownerDisabled).toBe(false);
    await withChange(store, 'agent', AGENT, (trx) => deleteAgent(trx, AGENT));

    expect(config.findKey('hash-1')).toBeUndefined();
    expect(config.findAgent(PROJECT, AGENT)).toBeUndefined();
  });

  it('refuses the keys of an agent of another project, and of one that is not there', async () => {
    const store = await openUntilTestEnds(await locate());
    const elsewhere = 'elsewhere' as ProjectId;
    await insertOwner(store.db);
    await insertProject(store.db, project({ id: elsewhere, slug: 'elsewhere' }));
    await insertAgent(store.db, agent({ projectId: elsewhere }));
    await insertApiKey(store.db, apiKey({ ownerKind: 'agent', ownerId: AGENT }));
    const secrets = [{ secretHash: 'orphan', keyPrefix: 'pc_o', createTime: NOW }];
    const nobody = 'agent-9' as PrincipalId;
    await insertApiKey(store.db, apiKey({ id: 'key-2' as ApiKeyId, ownerKind: 'agent', ownerId: nobody, secrets }));
    const config = await follow(store);

    expect(config.findKey('hash-1')?.ownerDisabled).toBe(true);
    expect(config.findKey('orphan')).toMatchObject({ ownerDisabled: true, principal: { scopes: new Set() } });
  });

  it('finds an agent by id or slug within its project only', async () => {
    const store = await openUntilTestEnds(await locate());
    await insertOwner(store.db);
    await insertAgent(store.db, agent());
    const config = await follow(store);

    expect(config.findAgent(PROJECT, 'crawler')).toEqual(agent());
    expect(config.findAgent(PROJECT, 'agent-1')).toEqual(agent());
    expect(config.findAgent('elsewhere' as ProjectId, 'crawler')).toBeUndefined();
  });

  it('hands out the same list of policies until one of them changes, and the same policy until it does', async () => {
    const store = await openUntilTestEnds(await locate());
    const second = 'policy-2' as PolicyId;
    await insertOwner(store.db);
    await insertPolicy(store.db, policy(), AUTHOR);
    const config = await follow(store);
    const before = config.getPolicies(PROJECT);
    expect(before).toEqual([policy()]);
    await withChange(store, 'user', USER, (trx) => updateUser(trx, USER, 1, { teams: [], updateTime: NOW }));
    await withChange(store, 'policy', POLICY, async () => {});
    expect(config.getPolicies(PROJECT)).toBe(before);

    const off = { ...policy().content, mode: 'off' as const };
    await withChange(store, 'policy', second, (trx) =>
      insertPolicy(trx, policy({ id: second, slug: 'second', content: off }), AUTHOR),
    );
    const after = config.getPolicies(PROJECT);
    expect(after.map(({ slug, content }) => [slug, content.mode])).toEqual([
      ['no-deletes', 'enforce'],
      ['second', 'off'],
    ]);
    expect(after[0]).toBe(before[0]);
    await withChange(store, 'policy', second, (trx) =>
      updatePolicy(trx, second, 1, { content: { ...off, mode: 'shadow' }, updateTime: NOW }),
    );
    expect(after[1]?.content.mode).toBe('off');
    expect(config.getPolicies(PROJECT)[1]?.content.mode).toBe('shadow');
    await withChange(store, 'policy', POLICY, (trx) => deletePolicy(trx, POLICY));
    expect(config.getPolicies(PROJECT).map(({ slug }) => slug)).toEqual(['second']);
    expect(config.getPolicies('elsewhere' as ProjectId)).toEqual([]);
  });

  it('tells of approvals that changed, and of unknown ones when it is too far behind', async () => {
    const store = await openUntilTestEnds(await locate());
    await insertOwner(store.db);
    const config = await follow(store);
    const heard: (readonly string[])[] = [];
    const unsubscribe = config.onApprovalChange((ids) => heard.push(ids));
    await withChanges(store, async (_, changed) => {
      for (const id of ['a1', 'a2', 'a1']) changed('approval', id);
    });
    await withChange(store, 'user', USER, async () => {});
    await store.db.updateTable('config_state').set({ version: 99 }).execute();
    await config.refresh();
    unsubscribe();
    await withChange(store, 'approval', 'a3', async () => {});

    expect(heard).toEqual([['a1', 'a2'], []]);
  });
});
