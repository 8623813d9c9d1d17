import { describe, expect, it } from 'vitest';
import {
  deleteAgent,
  findAgent,
  findAgentBySlug,
  findAgents,
  insertAgent,
  listAgents,
  updateAgent,
} from '../../src/db/agents.ts';
import { findApiKey, insertApiKey } from '../../src/db/api-keys.ts';
import { deleteProject, insertProject } from '../../src/db/projects.ts';
import { deleteUser } from '../../src/db/users.ts';
import type { ApiKeyId, PrincipalId, ProjectId } from '../../src/domain/ids.ts';
import { databases, openUntilTestEnds } from './databases.ts';
import { AGENT, agent, apiKey, insertOwner, KEY, NOW, PROJECT, project, USER } from './samples.ts';

const ELSEWHERE = 'project-2' as ProjectId;
const OTHER = 'agent-2' as PrincipalId;

describe.each(databases)('agents on $name', ({ locate }) => {
  it('are found by id and by slug as they were stored', async () => {
    const { db } = await openUntilTestEnds(await locate());
    await insertOwner(db);
    const { ownerId: _, ...ownerless } = agent({ id: OTHER, slug: 'loner', state: 'revoked', teams: [] });
    await insertAgent(db, agent());
    await insertAgent(db, ownerless);

    expect(await findAgent(db, AGENT)).toStrictEqual(agent());
    expect(await findAgentBySlug(db, PROJECT, 'loner')).toStrictEqual(ownerless);
    expect(await findAgentBySlug(db, ELSEWHERE, 'loner')).toBeUndefined();
    expect(await findAgents(db, [OTHER, 'nobody', AGENT])).toStrictEqual([agent(), ownerless]);
  });

  it('have a slug of their own within a project, not beyond it', async () => {
    const { db } = await openUntilTestEnds(await locate());
    await insertOwner(db);
    await insertProject(db, project({ id: ELSEWHERE, slug: 'second' }));
    await insertAgent(db, agent());
    await insertAgent(db, agent({ id: OTHER, projectId: ELSEWHERE }));

    await expect(insertAgent(db, agent({ id: 'agent-3' as PrincipalId }))).rejects.toMatchObject({
      reason: 'already_exists',
      message: 'There is an agent with this slug in the project. Choose another slug.',
    });
    expect((await listAgents(db, { projectId: ELSEWHERE, limit: 9 })).map(({ id }) => id)).toEqual(['agent-2']);
    expect((await listAgents(db, { afterId: 'agent-1', limit: 9 })).map(({ id }) => id)).toEqual(['agent-2']);
  });

  it('change only what is named, and only from the revision that was read', async () => {
    const { db } = await openUntilTestEnds(await locate());
    await insertOwner(db);
    await insertAgent(db, agent());
    const { ownerId: _, ...ownerless } = agent({ state: 'suspended', revision: 3, updateTime: NOW + 2 });

    const suspended = await updateAgent(db, AGENT, 1, { state: 'suspended', updateTime: NOW + 1 });
    expect(suspended).toStrictEqual(agent({ state: 'suspended', revision: 2, updateTime: NOW + 1 }));
    expect(await updateAgent(db, AGENT, 2, { ownerId: undefined, updateTime: NOW + 2 })).toStrictEqual(ownerless);
    expect(await updateAgent(db, AGENT, 2, { displayName: 'Stale', updateTime: NOW + 3 })).toBeUndefined();
    const renamed = await updateAgent(db, AGENT, 3, {
      displayName: '',
      description: 'New.',
      ownerId: USER,
      teams: ['a', 'b'],
      updateTime: NOW + 4,
    });
    expect(renamed).toMatchObject({ displayName: '', description: 'New.', ownerId: 'user-1', teams: ['a', 'b'] });
    expect(await findAgent(db, AGENT)).toStrictEqual(renamed);
  });

  it('take their ApiKeys along when they go, and no others', async () => {
    const { db } = await openUntilTestEnds(await locate());
    await insertOwner(db);
    await insertAgent(db, agent());
    await insertApiKey(db, apiKey());
    const secrets = [{ secretHash: 'hash-2', keyPrefix: 'pc_b', createTime: NOW }];
    const own = apiKey({ id: 'key-2' as ApiKeyId, ownerKind: 'agent', ownerId: AGENT, secrets });
    await insertApiKey(db, own);
    expect(await findApiKey(db, own.id)).toEqual(own);

    expect(await deleteAgent(db, AGENT)).toBe(true);
    expect(await findApiKey(db, own.id)).toBeUndefined();
    expect(await findApiKey(db, KEY)).toEqual(apiKey());
    expect(await deleteAgent(db, AGENT)).toBe(false);
  });

  it('stay without an owner when the owner goes, and keep their project', async () => {
    const { db } = await openUntilTestEnds(await locate());
    await insertOwner(db);
    await insertAgent(db, agent());
    await deleteUser(db, USER);

    expect(await findAgent(db, AGENT)).not.toHaveProperty('ownerId');
    await expect(deleteProject(db, PROJECT)).rejects.toMatchObject({ reason: 'failed_precondition' });
  });
});
