import { describe, expect, it } from 'vitest';
import {
  addPolicyVersion,
  deletePolicy,
  findPolicies,
  findPolicy,
  findPolicyBySlug,
  findPolicyVersion,
  insertPolicy,
  listPolicies,
  listPolicyVersions,
  updatePolicy,
} from '../../src/db/policies.ts';
import { deleteProject, insertProject } from '../../src/db/projects.ts';
import type { PolicyId, ProjectId } from '../../src/domain/ids.ts';
import { databases, openUntilTestEnds } from './databases.ts';
import { NOW, POLICY, PROJECT, policy, project } from './samples.ts';

const AUTHOR = { kind: 'user', id: 'user-1', name: 'ada' } as const;
const ELSEWHERE = 'project-2' as ProjectId;
const OTHER = 'policy-2' as PolicyId;
const draft = { ...policy().content, displayName: 'Draft', priority: 7 };

describe.each(databases)('policies on $name', ({ locate }) => {
  it('are found by id and by slug as they were stored, with their first version', async () => {
    const { db } = await openUntilTestEnds(await locate());
    await insertProject(db, project());
    await insertPolicy(db, policy(), AUTHOR);

    expect(await findPolicy(db, POLICY)).toStrictEqual(policy());
    expect(await findPolicies(db, ['none', POLICY])).toStrictEqual([policy()]);
    expect(await findPolicyBySlug(db, PROJECT, 'no-deletes')).toStrictEqual(policy());
    expect(await findPolicyBySlug(db, ELSEWHERE, 'no-deletes')).toBeUndefined();
    expect(await findPolicyVersion(db, POLICY, 1)).toStrictEqual({
      version: 1,
      content: policy().content,
      author: { kind: 'user', id: 'user-1', name: 'ada' },
      createTime: 1_790_000_000_000,
    });
  });

  it('have a slug of their own within a project, not beyond it', async () => {
    const { db } = await openUntilTestEnds(await locate());
    await insertProject(db, project());
    await insertProject(db, project({ id: ELSEWHERE, slug: 'second' }));
    await insertPolicy(db, policy(), AUTHOR);
    await insertPolicy(db, policy({ id: OTHER, projectId: ELSEWHERE }), AUTHOR);

    await expect(insertPolicy(db, policy({ id: 'policy-3' as PolicyId }), AUTHOR)).rejects.toMatchObject({
      reason: 'already_exists',
      message: 'There is a policy with this slug in the project. Choose another slug.',
    });
    expect((await listPolicies(db, { projectId: ELSEWHERE, limit: 9 })).map(({ id }) => id)).toEqual(['policy-2']);
    expect((await listPolicies(db, { afterId: 'policy-1', limit: 9 })).map(({ id }) => id)).toEqual(['policy-2']);
  });

  it('keep what is in force while a draft waits, and can go back', async () => {
    const { db } = await openUntilTestEnds(await locate());
    await insertProject(db, project());
    await insertPolicy(db, policy(), AUTHOR);
    const version = { version: 2, content: draft, author: { ...AUTHOR, name: 'bob' }, createTime: NOW + 1 };
    await addPolicyVersion(db, POLICY, version);

    const drafted = await updatePolicy(db, POLICY, 1, { latestVersion: 2, updateTime: NOW + 1 });
    expect(drafted).toStrictEqual(policy({ latestVersion: 2, revision: 2, updateTime: NOW + 1 }));
    const inForce = await updatePolicy(db, POLICY, 2, { content: draft, version: 2, updateTime: NOW + 2 });
    expect(inForce).toMatchObject({ content: { displayName: 'Draft' }, version: 2, latestVersion: 2, revision: 3 });
    expect(await updatePolicy(db, POLICY, 2, { version: 1, updateTime: NOW })).toBeUndefined();
    expect((await findPolicyVersion(db, POLICY, 1))?.content.displayName).toBe('No deletes');
  });

  it('list their history newest first, page by page', async () => {
    const { db } = await openUntilTestEnds(await locate());
    await insertProject(db, project());
    await insertPolicy(db, policy(), AUTHOR);
    for (const version of [2, 3, 4]) {
      await addPolicyVersion(db, POLICY, { version, content: draft, author: AUTHOR, createTime: NOW });
    }
    const list = async (beforeVersion?: number) =>
      (await listPolicyVersions(db, { policyId: POLICY, beforeVersion, limit: 2 })).map(({ version }) => version);

    expect([await list(), await list(3)]).toEqual([
      [4, 3],
      [2, 1],
    ]);
  });

  it('go with their history, by themselves and with their project', async () => {
    const { db } = await openUntilTestEnds(await locate());
    await insertProject(db, project());
    await insertPolicy(db, policy(), AUTHOR);

    expect(await deletePolicy(db, POLICY)).toBe(true);
    expect(await deletePolicy(db, POLICY)).toBe(false);
    expect(await findPolicyVersion(db, POLICY, 1)).toBeUndefined();
    await insertPolicy(db, policy(), AUTHOR);
    expect(await deleteProject(db, PROJECT)).toBe(true);
    expect(await listPolicyVersions(db, { policyId: POLICY, limit: 9 })).toEqual([]);
  });
});
