import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Effect } from '../../gen/portcullis/v1/policy_pb.ts';
import { RecordedArguments } from '../../gen/portcullis/v1/project_pb.ts';
import { ProjectService } from '../../gen/portcullis/v1/project_service_pb.ts';
import { createInstallation, type Installation, refusalOf, withRights } from './installation.ts';

let gateway: Installation;

beforeEach(async () => {
  gateway = await createInstallation();
});

afterEach(() => gateway.close());

const bySlug = (slug: string) => ({ value: { case: 'slug' as const, value: slug } });
const denyDeletes = {
  id: 'no-deletes',
  upstreamPattern: '*',
  toolPattern: 'delete_*',
  effect: Effect.DENY,
  message: 'Ask Ann.',
};

describe('a project', () => {
  it('is created with safe defaults', async () => {
    const { project } = await gateway.as(gateway.admin, ProjectService).createProject({ slug: 'blue' });
    expect(project).toMatchObject({
      slug: 'blue',
      recordedArguments: RecordedArguments.REDACTED,
      defaultEffect: Effect.DENY,
      policyRules: [],
      etag: '1',
    });
  });

  it('keeps the order of its rules and names those that have no id', async () => {
    const client = gateway.as(gateway.admin, ProjectService);
    const allowEcho = { upstreamPattern: 'demo', toolPattern: 'echo', effect: Effect.ALLOW };
    const { project } = await client.updateProject({ etag: '1', policyRules: { rules: [denyDeletes, allowEcho] } });
    expect(project?.policyRules).toMatchObject([
      denyDeletes,
      { ...allowEcho, id: expect.stringMatching(/^[0-9a-f-]{36}$/) },
    ]);
  });

  it('keeps what an update does not set', async () => {
    const client = gateway.as(gateway.admin, ProjectService);
    await client.updateProject({ displayName: 'Main', policyRules: { rules: [denyDeletes] } });
    const { project } = await client.updateProject({ defaultEffect: Effect.DENY });
    expect(project).toMatchObject({
      displayName: 'Main',
      policyRules: [denyDeletes],
      defaultEffect: Effect.DENY,
      etag: '3',
    });
  });

  it('loses all its rules by an empty list', async () => {
    const client = gateway.as(gateway.admin, ProjectService);
    await client.updateProject({ policyRules: { rules: [denyDeletes] } });
    const { project } = await client.updateProject({ policyRules: { rules: [] } });
    expect(project?.policyRules).toEqual([]);
  });

  it('refuses two rules with one id and patterns with a star in the middle', async () => {
    const client = gateway.as(gateway.admin, ProjectService);
    const twice = await refusalOf(client.updateProject({ policyRules: { rules: [denyDeletes, denyDeletes] } }));
    expect(twice.violations).toEqual([{ field: 'policy_rules', description: 'each rule id may be used once' }]);
    const star = client.updateProject({ policyRules: { rules: [{ ...denyDeletes, toolPattern: 'a*b' }] } });
    expect((await refusalOf(star)).violations).toMatchObject([{ field: 'policy_rules.rules[0].tool_pattern' }]);
  });

  it('is not changed or deleted with a stale etag', async () => {
    const client = gateway.as(gateway.admin, ProjectService);
    await client.createProject({ slug: 'blue' });
    await client.updateProject({ project: bySlug('blue'), etag: '1', displayName: 'first' });
    const stale = { code: 'Aborted', reason: 'ERROR_REASON_ETAG_MISMATCH', metadata: { resource: 'project' } };
    const second = client.updateProject({ project: bySlug('blue'), etag: '1', displayName: 'second' });
    expect(await refusalOf(second)).toMatchObject(stale);
    expect(await refusalOf(client.deleteProject({ project: bySlug('blue'), etag: '1' }))).toMatchObject(stale);
    expect((await client.getProject({ project: bySlug('blue') })).project?.displayName).toBe('first');
  });

  it('is deleted, but not while it has users, and never the one named default', async () => {
    const client = gateway.as(gateway.admin, ProjectService);
    await client.createProject({ slug: 'blue' });
    await client.deleteProject({ project: bySlug('blue') });
    expect(await refusalOf(client.getProject({ project: bySlug('blue') }))).toMatchObject({ code: 'PermissionDenied' });
    expect(await refusalOf(client.deleteProject({ project: bySlug('other') }))).toMatchObject({
      code: 'FailedPrecondition',
      reason: 'ERROR_REASON_FAILED_PRECONDITION',
    });
    expect(await refusalOf(client.deleteProject({ project: bySlug('default') }))).toMatchObject({
      code: 'FailedPrecondition',
      metadata: { condition: 'default_project' },
    });
  });

  it('of somebody else looks like one that does not exist', async () => {
    const client = gateway.as(gateway.otherAdmin, ProjectService);
    const text = (name: string) => `The credential has no access to the project "${name}" (or it might not exist).`;
    for (const name of ['default', 'nowhere']) {
      const refusal = await refusalOf(client.getProject({ project: bySlug(name) }));
      expect(refusal).toMatchObject({ code: 'PermissionDenied', message: text(name) });
    }
    const byId = { value: { case: 'id' as const, value: gateway.admin.projectId } };
    expect(await refusalOf(client.updateProject({ project: byId, displayName: 'mine' }))).toMatchObject({
      code: 'PermissionDenied',
    });
  });

  it('may be named by its own people', async () => {
    const reader = withRights(gateway.otherAdmin, 'gateway:read');
    const { project } = await gateway.as(reader, ProjectService).getProject({ project: bySlug('other') });
    expect(project?.id).toBe(gateway.otherAdmin.projectId);
  });
});

describe('the list of projects', () => {
  it('shows operators all, page by page, and others their own', async () => {
    const client = gateway.as(gateway.admin, ProjectService);
    await client.createProject({ slug: 'blue' });
    const first = await client.listProjects({ pageSize: 2 });
    expect(first.projects.map(({ slug }) => slug)).toEqual(['default', 'other']);
    const second = await client.listProjects({ pageSize: 2, pageToken: first.nextPageToken });
    expect(second.projects.map(({ slug }) => slug)).toEqual(['blue']);
    expect(second.nextPageToken).toBe('');
    const own = await gateway.as(gateway.otherAdmin, ProjectService).listProjects({});
    expect(own.projects.map(({ slug }) => slug)).toEqual(['other']);
  });
});
