import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Effect } from '../../gen/portcullis/v1/policy_rule_pb.ts';
import { RecordedArguments } from '../../gen/portcullis/v1/project_pb.ts';
import { ProjectService } from '../../gen/portcullis/v1/project_service_pb.ts';
import { findProjectBySlug } from '../../src/db/projects.ts';
import { createInstallation, type Installation, refusalOf, withRights } from './installation.ts';

let gateway: Installation;

beforeEach(async () => {
  gateway = await createInstallation();
});

afterEach(() => gateway.close());

const bySlug = (slug: string) => ({ value: { case: 'slug' as const, value: slug } });

describe('a project', () => {
  it('is created with safe defaults', async () => {
    const { project } = await gateway.as(gateway.admin, ProjectService).createProject({ slug: 'blue' });
    expect(project).toMatchObject({
      slug: 'blue',
      recordedArguments: RecordedArguments.REDACTED,
      defaultEffect: Effect.DENY,
      redactedKeys: [],
      etag: '1',
    });
  });

  it('keeps what an update does not set', async () => {
    const client = gateway.as(gateway.admin, ProjectService);
    await client.updateProject({ displayName: 'Main', redactedKeys: { keys: ['iban', 'pin'] } });
    const { project } = await client.updateProject({ defaultEffect: Effect.DENY });
    expect(project).toMatchObject({
      displayName: 'Main',
      redactedKeys: ['iban', 'pin'],
      defaultEffect: Effect.DENY,
      etag: '3',
    });
  });

  it('masks no further names after an empty list', async () => {
    const client = gateway.as(gateway.admin, ProjectService);
    await client.updateProject({ redactedKeys: { keys: ['iban'] } });
    const { project } = await client.updateProject({ redactedKeys: { keys: [] } });
    expect(project?.redactedKeys).toEqual([]);
  });

  it('is not changed by a credential whose grants name upstreams', async () => {
    const limited = { ...gateway.admin, grants: new Set<never>() };
    const refusal = await refusalOf(gateway.as(limited, ProjectService).updateProject({ displayName: 'mine' }));
    expect(refusal).toMatchObject({
      code: 'PermissionDenied',
      message:
        'A credential whose grants name upstreams or gateways cannot change the project, which decides for all of them. Use one that reaches all upstreams.',
    });
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

describe('the webhook of a project', () => {
  const secret = `whsec_${Buffer.alloc(24, 7).toString('base64')}`;
  const webhook = { url: 'https://hooks.example.com/approvals?team=blue', secret };

  it('is shown without its secret, which is stored sealed', async () => {
    const client = gateway.as(gateway.admin, ProjectService);
    const { project } = await client.updateProject({ approvalWebhook: webhook });
    expect(project?.approvalWebhook).toMatchObject({
      url: 'https://hooks.example.com/approvals?team=blue',
      secret: '',
    });
    const stored = await findProjectBySlug(gateway.store.db, 'default');
    const { sealedSecret = '' } = stored?.approvalWebhook ?? {};
    expect(sealedSecret).not.toContain(secret);
    expect(await gateway.box.open('webhook', sealedSecret)).toBe(secret);
  });

  it('comes with a new project', async () => {
    const { project } = await gateway
      .as(gateway.admin, ProjectService)
      .createProject({ slug: 'blue', approvalWebhook: webhook });
    expect(project?.approvalWebhook).toMatchObject({ url: webhook.url, secret: '' });
  });

  it('keeps its secret when another URL comes without one, and is removed by an empty URL', async () => {
    const client = gateway.as(gateway.admin, ProjectService);
    await client.updateProject({ approvalWebhook: webhook });
    await client.updateProject({ approvalWebhook: { url: 'http://other.example.com/' } });
    const moved = await findProjectBySlug(gateway.store.db, 'default');
    expect(moved?.approvalWebhook?.url).toBe('http://other.example.com/');
    expect(await gateway.box.open('webhook', moved?.approvalWebhook?.sealedSecret ?? '')).toBe(secret);
    expect((await client.updateProject({ displayName: 'x' })).project?.approvalWebhook?.url).toBe(
      'http://other.example.com/',
    );
    const { project } = await client.updateProject({ approvalWebhook: { url: '' } });
    expect(project?.approvalWebhook).toBeUndefined();
    expect((await findProjectBySlug(gateway.store.db, 'default'))?.approvalWebhook).toBeUndefined();
  });

  it.each([
    [{ ...webhook, url: 'ftp://hooks.example.com/' }, 'url', 'must be an http or https URL'],
    [
      { ...webhook, url: 'https://me:pw@hooks.example.com/' },
      'url',
      'must not hold credentials; deliveries are signed',
    ],
    [{ ...webhook, url: '' }, 'url', 'must be set when a secret is given'],
    [{ ...webhook, secret: '' }, 'secret', 'must be given: nothing is stored for it'],
    [{ ...webhook, secret: `whsec_${'A'.repeat(33)}` }, 'secret', 'must be whsec_ and the base64 of 24 to 64 bytes'],
  ])('is refused as %j', async (approvalWebhook, field, description) => {
    const client = gateway.as(gateway.admin, ProjectService);
    const violations = [{ field: `approval_webhook.${field}`, description }];
    expect(await refusalOf(client.updateProject({ approvalWebhook }))).toMatchObject({
      reason: 'ERROR_REASON_VALIDATION_FAILED',
      violations,
    });
    expect(await refusalOf(client.createProject({ slug: 'blue', approvalWebhook }))).toMatchObject({ violations });
  });

  it('has a secret of the form that Standard Webhooks wants', async () => {
    const client = gateway.as(gateway.admin, ProjectService);
    const refusal = await refusalOf(client.updateProject({ approvalWebhook: { ...webhook, secret: 'hunter2' } }));
    expect(refusal.violations).toMatchObject([{ field: 'approval_webhook.secret' }]);
    expect(gateway.logLines.join('')).not.toContain('hunter2');
  });
});
