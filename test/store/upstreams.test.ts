import { describe, expect, it } from 'vitest';
import { insertProject } from '../../src/db/projects.ts';
import {
  deleteUpstream,
  findUpstream,
  findUpstreamBySlug,
  insertUpstream,
  listUpstreams,
  listUpstreamVersions,
  updateUpstream,
} from '../../src/db/upstreams.ts';
import type { ProjectId, UpstreamId } from '../../src/domain/ids.ts';
import { databases, openUntilTestEnds } from './databases.ts';
import { NOW, PROJECT, project, UPSTREAM, upstream } from './samples.ts';

const ELSEWHERE = 'project-2' as ProjectId;

describe.each(databases)('upstreams on $name', ({ locate }) => {
  it('are read as they were stored, whatever their transport', async () => {
    const { db } = await openUntilTestEnds(await locate());
    await insertProject(db, project());
    const { era: _, ...probed } = upstream({
      transport: {
        kind: 'stdio',
        command: 'mcp-server-everything',
        args: ['stdio'],
        sharing: 'per_principal',
        maxProcesses: 8,
        idleTimeoutMs: 300_000,
      },
      enabled: false,
    });
    await insertUpstream(db, probed);

    expect(await findUpstream(db, UPSTREAM)).toStrictEqual(probed);
    expect(await findUpstreamBySlug(db, PROJECT, 'files', 'v1')).toStrictEqual(probed);
  });

  it('have a slug of their own in each version within a project, not beyond it', async () => {
    const { db } = await openUntilTestEnds(await locate());
    await insertProject(db, project());
    await insertProject(db, project({ id: ELSEWHERE, slug: 'second' }));
    await insertUpstream(db, upstream());
    await insertUpstream(db, upstream({ id: 'u2' as UpstreamId, projectId: ELSEWHERE }));

    const taken = {
      reason: 'already_exists',
      message: 'There is an upstream with this slug and version in the project. Choose another slug or version.',
    };
    await expect(insertUpstream(db, upstream({ id: 'u3' as UpstreamId }))).rejects.toMatchObject(taken);
    await insertUpstream(db, upstream({ id: 'u4' as UpstreamId, slug: 'free' }));
    await expect(updateUpstream(db, 'u4' as UpstreamId, 1, { slug: 'files', updateTime: NOW })).rejects.toMatchObject(
      taken,
    );
    await insertUpstream(db, upstream({ id: 'u5' as UpstreamId, version: 'v2' }));
    const again = upstream({ id: 'u6' as UpstreamId, version: 'v2' });
    await expect(insertUpstream(db, again)).rejects.toMatchObject(taken);
    expect((await findUpstreamBySlug(db, PROJECT, 'files', 'v2'))?.id).toBe('u5');
    expect(await findUpstreamBySlug(db, PROJECT, 'files', 'v3')).toBeUndefined();
    const versions = await listUpstreamVersions(db, PROJECT, 'files');
    expect(versions.map(({ id, version }) => [id, version])).toEqual([
      ['u5', 'v2'],
      [UPSTREAM, 'v1'],
    ]);
    expect((await findUpstreamBySlug(db, ELSEWHERE, 'files', 'v1'))?.id).toBe('u2');
    expect((await listUpstreams(db, { projectId: ELSEWHERE, limit: 9 })).map((found) => found.id)).toEqual(['u2']);
  });

  it('change only what is named; the era is found out again, and guardrails go, when they are set to null', async () => {
    const { db } = await openUntilTestEnds(await locate());
    await insertProject(db, project());
    await insertUpstream(db, upstream());

    const slower = await updateUpstream(db, UPSTREAM, 1, { timeoutMs: 90_000, updateTime: NOW + 1 });
    expect(slower).toStrictEqual(upstream({ timeoutMs: 90_000, revision: 2, updateTime: NOW + 1 }));
    expect(await findUpstream(db, UPSTREAM)).toStrictEqual(slower);
    const probed = await updateUpstream(db, UPSTREAM, 2, { era: null, updateTime: NOW + 2 });
    expect(probed).not.toHaveProperty('era');
    expect(await findUpstream(db, UPSTREAM)).toStrictEqual(probed);
    const guardrails = {
      inputGuardrails: {
        enabled: true,
        guardrailName: 'strict',
        block: ['pii'],
        additionalConfig: { pii: { names: [] } },
      },
      outputGuardrails: { block: ['secrets'] },
    };
    const guarded = await updateUpstream(db, UPSTREAM, 3, { ...guardrails, updateTime: NOW + 3 });
    expect(await findUpstream(db, UPSTREAM)).toStrictEqual(guarded);
    expect(guarded).toMatchObject(guardrails);
    const halfGuarded = await updateUpstream(db, UPSTREAM, 4, { inputGuardrails: null, updateTime: NOW + 4 });
    expect(halfGuarded).toMatchObject({ outputGuardrails: { block: ['secrets'] } });
    expect(halfGuarded).not.toHaveProperty('inputGuardrails');
    expect(await findUpstream(db, UPSTREAM)).toStrictEqual(halfGuarded);
    expect(await updateUpstream(db, UPSTREAM, 2, { enabled: false, updateTime: NOW })).toBeUndefined();
  });

  it('are deleted once', async () => {
    const { db } = await openUntilTestEnds(await locate());
    await insertProject(db, project());
    await insertUpstream(db, upstream());

    expect(await deleteUpstream(db, UPSTREAM)).toBe(true);
    expect(await deleteUpstream(db, UPSTREAM)).toBe(false);
    expect(await findUpstream(db, UPSTREAM)).toBeUndefined();
  });
});
