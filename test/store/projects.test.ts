import { describe, expect, it } from 'vitest';
import { findApiKey, insertApiKey } from '../../src/db/api-keys.ts';
import { findGateway, insertGateway, updateGateway } from '../../src/db/gateways.ts';
import {
  deleteProject,
  findProject,
  findProjectBySlug,
  insertProject,
  listProjects,
  updateProject,
} from '../../src/db/projects.ts';
import { deleteUser } from '../../src/db/users.ts';
import type { ProjectId } from '../../src/domain/ids.ts';
import { databases, openUntilTestEnds } from './databases.ts';
import { apiKey, GATEWAY, gateway, insertOwner, KEY, NOW, PROJECT, project, USER } from './samples.ts';

describe.each(databases)('projects on $name', ({ locate }) => {
  it('are found by id and by slug as they were stored', async () => {
    const { db } = await openUntilTestEnds(await locate());
    await insertProject(db, project());

    expect(await findProject(db, PROJECT)).toEqual({
      id: 'project-1',
      slug: 'default',
      displayName: 'Default',
      recordedArguments: 'redacted',
      redactedKeys: ['iban'],
      approvalWebhook: { url: 'https://hooks.example.com/approvals', sealedSecret: 'sealed' },
      defaultEffect: 'allow',
      revision: 1,
      createTime: 1_790_000_000_000,
      updateTime: 1_790_000_000_000,
    });
    expect((await findProjectBySlug(db, 'default'))?.id).toBe('project-1');
    expect(await findProjectBySlug(db, 'other')).toBeUndefined();
  });

  it('refuse a slug that is taken, with the reason the caller reads', async () => {
    const { db } = await openUntilTestEnds(await locate());
    await insertProject(db, project());
    await insertProject(db, project({ id: 'project-2' as ProjectId, slug: 'second' }));

    const taken = { reason: 'already_exists', message: 'There is a project with this slug. Choose another slug.' };
    await expect(insertProject(db, project({ id: 'project-3' as ProjectId }))).rejects.toMatchObject(taken);
    const rename = updateProject(db, 'project-2' as ProjectId, 1, { slug: 'default', updateTime: NOW });
    await expect(rename).rejects.toMatchObject(taken);
  });

  it('are listed in pages in the order of their ids', async () => {
    const { db } = await openUntilTestEnds(await locate());
    for (const n of [3, 1, 2]) await insertProject(db, project({ id: `p${n}` as ProjectId, slug: `slug-${n}` }));

    expect((await listProjects(db, { limit: 2 })).map((found) => found.id)).toEqual(['p1', 'p2']);
    expect((await listProjects(db, { afterId: 'p2', limit: 2 })).map((found) => found.id)).toEqual(['p3']);
  });

  it('change only what is named, and only from the revision that was read', async () => {
    const { db } = await openUntilTestEnds(await locate());
    await insertProject(db, project());

    const changed = await updateProject(db, PROJECT, 1, { defaultEffect: 'deny', updateTime: NOW + 5 });
    expect(changed).toEqual({ ...project(), defaultEffect: 'deny', revision: 2, updateTime: NOW + 5 });
    expect(await updateProject(db, PROJECT, 1, { displayName: 'Stale', updateTime: NOW + 6 })).toBeUndefined();
    expect(await findProject(db, PROJECT)).toEqual(changed);
  });

  it('mask other names and tell another webhook, or none, when they are changed so', async () => {
    const { db } = await openUntilTestEnds(await locate());
    await insertProject(db, project());
    const webhook = { url: 'https://other.example.com/', sealedSecret: 'resealed' };
    const { approvalWebhook: _, ...untold } = project({ redactedKeys: [], revision: 4 });

    const changes = { redactedKeys: [], approvalWebhook: webhook, updateTime: NOW };
    expect(await updateProject(db, PROJECT, 1, changes)).toStrictEqual(
      project({ redactedKeys: [], approvalWebhook: webhook, revision: 2 }),
    );
    const renamed = await updateProject(db, PROJECT, 2, { displayName: 'Default', updateTime: NOW });
    expect(renamed?.approvalWebhook).toEqual(webhook);
    expect(await updateProject(db, PROJECT, 3, { approvalWebhook: null, updateTime: NOW })).toStrictEqual(untold);
    expect(await findProject(db, PROJECT)).toStrictEqual(untold);
  });

  it('stay while they have users, and take their ApiKeys along when they go', async () => {
    const { db } = await openUntilTestEnds(await locate());
    await insertOwner(db);
    await insertApiKey(db, apiKey());

    await expect(deleteProject(db, PROJECT)).rejects.toMatchObject({
      reason: 'failed_precondition',
      message: 'The project still has users, agents, upstreams or gateways. Delete them first.',
    });
    await deleteUser(db, USER);
    expect(await deleteProject(db, PROJECT)).toBe(true);
    expect(await findApiKey(db, KEY)).toBeUndefined();
    expect(await deleteProject(db, PROJECT)).toBe(false);
  });

  it('stay while they have active gateways, and take deleted ones along, which nobody could delete any further', async () => {
    const { db } = await openUntilTestEnds(await locate());
    await insertProject(db, project());
    await insertGateway(db, gateway());

    await expect(deleteProject(db, PROJECT)).rejects.toMatchObject({ reason: 'failed_precondition' });
    await updateGateway(db, gateway({ deleteTime: NOW }));
    expect(await deleteProject(db, PROJECT)).toBe(true);
    expect(await findGateway(db, GATEWAY)).toBeUndefined();
  });
});
