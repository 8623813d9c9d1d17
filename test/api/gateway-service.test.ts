import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { DiscoveryMode, type Gateway } from '../../gen/portcullis/v1/gateway_pb.ts';
import {
  type CreateGatewayRequestSchema,
  GatewayService,
  PatchGatewayRequestSchema,
} from '../../gen/portcullis/v1/gateway_service_pb.ts';
import { UpstreamService } from '../../gen/portcullis/v1/upstream_service_pb.ts';
import { readChangesSince, readConfigVersion } from '../../src/db/config-changes.ts';
import { openDatabase } from '../../src/db/store.ts';
import type { GatewayId, UpstreamId } from '../../src/domain/ids.ts';
import type { Principal } from '../../src/domain/principal.ts';
import { createTestDatabaseUrl } from '../support/postgres.ts';
import { contentOf } from './gateway-samples.ts';
import { createInstallation, type Installation, refusalOf, withRights } from './installation.ts';

const bySlug = (slug: string, version = '') => ({ value: { case: 'slug' as const, value: slug }, version });
const byId = (gateway: Gateway | undefined) => ({ value: { case: 'id' as const, value: gateway?.id ?? '' } });
const transport = { value: { case: 'streamableHttp' as const, value: { url: 'https://mcp.example.com/mcp' } } };
const shared = { gateway: bySlug('shared') };

const DATABASES = [
  ['memory', () => openDatabase({ kind: 'memory' })],
  ['postgres', async () => openDatabase({ kind: 'postgres', url: await createTestDatabaseUrl() })],
] as const;

describe.each(DATABASES)('a gateway on %s', (_kind, open) => {
  let installation: Installation;
  let operator: Principal;

  beforeEach(async () => {
    installation = await createInstallation({ store: await open() });
    operator = withRights(installation.admin, 'gateway:read', 'gateway:write');
    for (const [slug, version] of [
      ['files', 'v1'],
      ['files', 'v2'],
      ['github', 'v1'],
    ] as const) {
      await upstreams().createUpstream({ slug, version, transport });
    }
  });
  afterEach(() => installation.close());

  const gateways = (caller = operator) => installation.as(caller, GatewayService);
  const upstreams = (caller = operator) => installation.as(caller, UpstreamService);

  it('is created with defaults, and read by slug and by id', async () => {
    const { gateway } = await gateways().createGateway({ slug: 'shared' });
    expect(gateway).toMatchObject({
      id: expect.stringMatching(/^[0-9a-f-]{36}$/),
      projectId: operator.projectId,
      slug: 'shared',
      version: 'v1',
      displayName: '',
      description: '',
      upstreams: [],
      discoveryMode: DiscoveryMode.LIST,
      etag: '1',
    });
    expect(gateway?.commonOverrides).toBeUndefined();
    expect(gateway?.deleteTime).toBeUndefined();
    expect((await gateways().getGateway(shared)).gateway).toEqual(gateway);
    expect((await gateways().getGateway({ gateway: byId(gateway) })).gateway).toEqual(gateway);
  });

  it('is read as it was written, with everything it can say', async () => {
    const { gateway } = await gateways().createGateway({
      slug: 'shared',
      version: '2026.1',
      displayName: 'Shared',
      description: 'For all.',
      commonOverrides: { outputGuardrails: { enabled: false, block: ['pii'], additionalConfig: { pii: { keep: 4 } } } },
      upstreams: [
        { slug: 'github', namePrefix: '' },
        {
          slug: 'files',
          version: 'v2',
          inputGuardrails: { guardrailName: 'Files' },
          outputGuardrails: {},
          toolFilter: { allowedTools: ['read_*'], deniedTools: ['read_secret'] },
          namePrefix: 'fs',
          tools: {
            read_file: {
              name: 'read',
              description: 'Reads.',
              argumentDefaults: { depth: 1.5, tags: ['a', null] },
              fixedArguments: { root: '/srv' },
            },
            constructor: { name: 'build' },
          },
          timeout: { seconds: 5n, nanos: 500_000_000 },
        },
      ],
      discoveryMode: DiscoveryMode.SEARCH,
    });
    const read = await gateways().getGateway({ gateway: bySlug('shared', '2026.1') });
    expect(read.gateway).toEqual(gateway);
    expect(contentOf(read.gateway)).toEqual({
      display_name: 'Shared',
      description: 'For all.',
      common_overrides: {
        output_guardrails: { enabled: false, block: ['pii'], additional_config: { pii: { keep: 4 } } },
      },
      upstreams: [
        { slug: 'github', version: 'v1', name_prefix: '' },
        {
          slug: 'files',
          version: 'v2',
          input_guardrails: { guardrail_name: 'Files' },
          output_guardrails: {},
          tool_filter: { allowed_tools: ['read_*'], denied_tools: ['read_secret'] },
          name_prefix: 'fs',
          tools: {
            read_file: {
              name: 'read',
              description: 'Reads.',
              argument_defaults: { depth: 1.5, tags: ['a', null] },
              fixed_arguments: { root: '/srv' },
            },
            constructor: { name: 'build' },
          },
          timeout: '5.500s',
        },
      ],
      discovery_mode: 'DISCOVERY_MODE_SEARCH',
    });
  });

  it('is made once by repeats with one request id', async () => {
    const request = { requestId: 'shared-1', slug: 'shared' };
    const first = await gateways().createGateway(request);
    expect(await gateways().createGateway(request)).toEqual(first);
    expect((await gateways().listGateways({})).gateways).toHaveLength(1);
  });

  it('keeps what an update does not set, and replaces what it sets', async () => {
    await gateways().createGateway({
      slug: 'shared',
      displayName: 'Shared',
      description: 'For all.',
      commonOverrides: { inputGuardrails: { enabled: true } },
      upstreams: [{ slug: 'files', namePrefix: 'f' }, { slug: 'github' }],
    });
    const named = await gateways().updateGateway({ ...shared, etag: '1', displayName: '' });
    expect(named.gateway).toMatchObject({ etag: '2', displayName: '', description: 'For all.' });
    const { gateway } = await gateways().updateGateway({
      ...shared,
      commonOverrides: {},
      upstreams: { upstreams: [{ slug: 'github' }, { slug: 'files' }] },
      discoveryMode: DiscoveryMode.SEARCH,
    });
    expect(contentOf(gateway)).toEqual({
      description: 'For all.',
      upstreams: [
        { slug: 'github', version: 'v1' },
        { slug: 'files', version: 'v1' },
      ],
      discovery_mode: 'DISCOVERY_MODE_SEARCH',
    });
    expect((await gateways().getGateway(shared)).gateway).toEqual(gateway);
    const emptied = await gateways().updateGateway({ ...shared, upstreams: {} });
    expect(emptied.gateway?.upstreams).toEqual([]);
  });

  it('is patched, and every replica hears of it', async () => {
    const { gateway } = await gateways().createGateway({ slug: 'shared', upstreams: [{ slug: 'files' }] });
    const before = await readConfigVersion(installation.store.db);
    const patch = { description: 'x', upstreams: [{ slug: 'github', tools: { a: { fixed_arguments: { n: null } } } }] };
    const patched = await gateways().patchGateway({ ...shared, etag: '1', patch });
    expect(patched.gateway).toMatchObject({ id: gateway?.id, etag: '2' });
    expect(contentOf(patched.gateway)).toEqual({
      description: 'x',
      upstreams: [
        { slug: 'files', version: 'v1' },
        { slug: 'github', version: 'v1', tools: { a: { fixed_arguments: {} } } },
      ],
      discovery_mode: 'DISCOVERY_MODE_LIST',
    });
    expect((await gateways().getGateway(shared)).gateway).toEqual(patched.gateway);
    expect(await readChangesSince(installation.store.db, before)).toMatchObject([
      { kind: 'gateway', entityId: gateway?.id },
    ]);
  });

  it('is not changed or deleted with a stale etag', async () => {
    await gateways().createGateway({ slug: 'shared' });
    await gateways().updateGateway({ ...shared, displayName: 'x' });
    const stale = { code: 'Aborted', reason: 'ERROR_REASON_ETAG_MISMATCH', metadata: { resource: 'gateway' } };
    for (const request of [
      () => gateways().updateGateway({ ...shared, etag: '1', displayName: 'y' }),
      () => gateways().patchGateway({ ...shared, etag: '1', patch: { display_name: 'y' } }),
      () => gateways().deleteGateway({ ...shared, etag: '1' }),
    ]) {
      expect(await refusalOf(request())).toMatchObject(stale);
    }
    expect((await gateways().getGateway(shared)).gateway).toMatchObject({ displayName: 'x', etag: '2' });
  });

  it('is deleted so that it can be read, but not changed, and is brought back as it was', async () => {
    const { gateway } = await gateways().createGateway({ slug: 'shared', upstreams: [{ slug: 'files' }] });
    const deleted = await gateways().deleteGateway({ ...shared, etag: '1' });
    expect(deleted.gateway).toMatchObject({ id: gateway?.id, etag: '2', upstreams: [{ slug: 'files' }] });
    expect(deleted.gateway?.deleteTime).toBeDefined();
    expect((await gateways().getGateway(shared)).gateway).toEqual(deleted.gateway);
    expect((await gateways().deleteGateway({ ...shared, etag: '1' })).gateway).toEqual(deleted.gateway);
    for (const request of [
      () => gateways().updateGateway({ ...shared, displayName: 'x' }),
      () => gateways().patchGateway({ ...shared, patch: {} }),
    ]) {
      expect(await refusalOf(request())).toMatchObject({
        code: 'FailedPrecondition',
        message: "The gateway 'shared' is deleted. Bring it back with UndeleteGateway first.",
        metadata: { condition: 'deleted' },
      });
    }
    const back = await gateways().undeleteGateway(shared);
    expect(back.gateway).toMatchObject({ id: gateway?.id, etag: '3', upstreams: [{ slug: 'files' }] });
    expect(back.gateway?.deleteTime).toBeUndefined();
    expect((await gateways().undeleteGateway(shared)).gateway).toEqual(back.gateway);
  });

  it('is not brought back without its upstreams', async () => {
    const upstreamsOfGateway = [{ slug: 'github' }, { slug: 'files', version: 'v2' }];
    await gateways().createGateway({ slug: 'shared', upstreams: upstreamsOfGateway });
    await gateways().deleteGateway(shared);
    await upstreams().deleteUpstream({ upstream: bySlug('files', 'v2') });
    expect(await refusalOf(gateways().undeleteGateway(shared))).toMatchObject({
      code: 'FailedPrecondition',
      message:
        'The gateway \'shared\' cannot be brought back: not all of its upstreams are there. upstreams[1]: the upstream "files" has no version "v2", only v1',
      metadata: { condition: 'upstream_missing' },
    });
    await upstreams().createUpstream({ slug: 'files', version: 'v2', transport });
    expect((await gateways().undeleteGateway(shared)).gateway?.deleteTime).toBeUndefined();
  });

  it('holds its upstreams: they are not deleted while it is active', async () => {
    await gateways().createGateway({ slug: 'shared', upstreams: [{ slug: 'files', version: 'v2' }] });
    await gateways().createGateway({ slug: 'shared', version: 'v2', upstreams: [{ slug: 'files', version: 'v2' }] });
    await upstreams().deleteUpstream({ upstream: bySlug('files') });
    const request = { upstream: bySlug('files', 'v2') };
    expect(await refusalOf(upstreams().deleteUpstream(request))).toMatchObject({
      code: 'FailedPrecondition',
      message:
        "The upstream 'files@v2' is part of the active gateways 'shared', 'shared@v2'. Take it out of them, or delete them, first.",
      metadata: { condition: 'part_of_gateway' },
    });
    await gateways().deleteGateway(shared);
    await gateways().patchGateway({ gateway: bySlug('shared', 'v2'), patch: { upstreams: null } });
    await upstreams().deleteUpstream(request);
  });

  it('is not named to a credential that does not see it, when that deletes an upstream', async () => {
    await gateways().createGateway({ slug: 'shared', upstreams: [{ slug: 'files' }] });
    const { upstream } = await upstreams().getUpstream({ upstream: bySlug('files') });
    const limited = upstreams({ ...operator, grants: new Set([upstream?.id as UpstreamId]) });
    expect(await refusalOf(limited.deleteUpstream({ upstream: bySlug('files') }))).toMatchObject({
      message:
        "The upstream 'files' is part of active gateways that this credential does not reach. Take it out of them, or delete them, first.",
    });
  });

  it('shares slugs and versions with upstreams, and keeps its own when it is deleted', async () => {
    const taken = (by: string, orElse = '') => ({
      code: 'AlreadyExists',
      metadata: { field: 'slug' },
      message: `The slug ${by} of the project. Choose another slug or version${orElse}.`,
    });
    expect(await refusalOf(gateways().createGateway({ slug: 'files', version: 'v2' }))).toMatchObject(
      taken('"files" in the version "v2" belongs to an upstream'),
    );
    await gateways().createGateway({ slug: 'files', version: 'v3' });
    await gateways().createGateway({ slug: 'shared' });
    const inUse = taken('"shared" in the version "v1" belongs to a gateway');
    expect(await refusalOf(gateways().createGateway({ slug: 'shared' }))).toMatchObject(inUse);
    expect(await refusalOf(upstreams().createUpstream({ slug: 'shared', transport }))).toMatchObject(inUse);
    await gateways().deleteGateway(shared);
    const kept = taken(
      '"shared" in the version "v1" belongs to a deleted gateway',
      ', or bring it back with UndeleteGateway',
    );
    expect(await refusalOf(gateways().createGateway({ slug: 'shared' }))).toMatchObject(kept);
    expect(await refusalOf(upstreams().createUpstream({ slug: 'shared', transport }))).toMatchObject(kept);
    await gateways(installation.otherAdmin).createGateway({ slug: 'shared' });
  });

  it('is listed page by page, all or only active or deleted ones', async () => {
    for (const slug of ['a', 'b', 'c', 'd']) {
      await gateways().createGateway({ slug });
    }
    await gateways().deleteGateway({ gateway: bySlug('b') });
    const list = async (request: Parameters<ReturnType<typeof gateways>['listGateways']>[0]) => {
      const { gateways: page, nextPageToken } = await gateways().listGateways(request);
      return { slugs: page.map(({ slug }) => slug), nextPageToken };
    };
    expect((await list({})).slugs).toEqual(['a', 'b', 'c', 'd']);
    expect((await list({ active: false })).slugs).toEqual(['b']);
    const first = await list({ active: true, pageSize: 2 });
    expect(first.slugs).toEqual(['a', 'c']);
    const second = await list({ active: true, pageSize: 2, pageToken: first.nextPageToken });
    expect(second).toEqual({ slugs: ['d'], nextPageToken: '' });
    const other = gateways().listGateways({ active: false, pageToken: first.nextPageToken });
    expect(await refusalOf(other)).toMatchObject({ reason: 'ERROR_REASON_PAGE_TOKEN_INVALID' });
    expect((await gateways(installation.otherAdmin).listGateways({})).gateways).toEqual([]);
  });

  it('of another project, or without a grant, looks like one that does not exist', async () => {
    const { gateway } = await gateways().createGateway({ slug: 'shared' });
    const stranger = gateways(installation.otherAdmin);
    const ungranted = gateways({ ...operator, grants: new Set(), gatewayGrants: new Set<GatewayId>() });
    for (const request of [
      () => stranger.getGateway({ gateway: byId(gateway) }),
      () => stranger.getGatewayConfig({ gateway: byId(gateway) }),
      () => stranger.updateGateway({ gateway: byId(gateway), displayName: 'mine' }),
      () => stranger.patchGateway({ gateway: byId(gateway), patch: {} }),
      () => stranger.deleteGateway({ gateway: byId(gateway) }),
      () => stranger.undeleteGateway({ gateway: byId(gateway) }),
      () => ungranted.getGateway({ gateway: byId(gateway) }),
      () => ungranted.getGatewayConfig({ gateway: byId(gateway) }),
    ]) {
      expect(await refusalOf(request())).toMatchObject({
        code: 'PermissionDenied',
        message: `The credential has no access to the gateway "${gateway?.id}" (or it might not exist).`,
      });
    }
    expect((await ungranted.listGateways({})).gateways).toEqual([]);
  });

  it('that is granted is read with its upstreams, but not changed, by a credential whose grants name it', async () => {
    const { gateway } = await gateways().createGateway({ slug: 'shared', upstreams: [{ slug: 'files' }] });
    await gateways().createGateway({ slug: 'other' });
    const limited = gateways({
      ...operator,
      grants: new Set(),
      gatewayGrants: new Set([gateway?.id as GatewayId]),
    });
    expect((await limited.listGateways({})).gateways).toEqual([gateway]);
    expect((await limited.getGateway(shared)).gateway).toEqual(gateway);
    expect((await limited.getGatewayConfig(shared)).config?.expandedUpstreams[0]?.config?.slug).toBe('files');
    for (const request of [
      () => limited.createGateway({ slug: 'mine' }),
      () => limited.updateGateway({ ...shared, displayName: 'mine' }),
      () => limited.patchGateway({ ...shared, patch: {} }),
      () => limited.deleteGateway(shared),
      () => limited.undeleteGateway(shared),
    ]) {
      expect(await refusalOf(request())).toMatchObject({
        code: 'PermissionDenied',
        message: expect.stringContaining('cannot create or change gateways, which lead to other upstreams'),
      });
    }
  });

  it('is read with gateway:read, and changed with gateway:write only', async () => {
    await gateways().createGateway({ slug: 'shared' });
    const reader = gateways(withRights(operator, 'gateway:read'));
    expect((await reader.getGateway(shared)).gateway?.slug).toBe('shared');
    expect(await refusalOf(reader.patchGateway({ ...shared, patch: {} }))).toMatchObject({
      metadata: { required_permissions: 'gateway:write' },
    });
    const writer = gateways(withRights(operator, 'gateway:write'));
    expect(await refusalOf(writer.getGatewayConfig(shared))).toMatchObject({
      metadata: { required_permissions: 'gateway:read' },
    });
  });
});

describe('what is wrong with a gateway', () => {
  let installation: Installation;

  beforeEach(async () => {
    installation = await createInstallation();
    const upstreams = installation.as(installation.admin, UpstreamService);
    for (const [slug, version] of [
      ['files', 'v1'],
      ['files', 'v2'],
      ['github', 'v1'],
    ] as const) {
      await upstreams.createUpstream({ slug, version, transport });
    }
    await installation.as(installation.otherAdmin, UpstreamService).createUpstream({ slug: 'theirs', transport });
  });
  afterEach(() => installation.close());

  type Client = ReturnType<typeof client>;
  const client = () => installation.as(installation.admin, GatewayService);
  const refused = async (upstreams: Parameters<Client['createGateway']>[0]['upstreams']) =>
    (await refusalOf(client().createGateway({ slug: 'new', ...(upstreams && { upstreams }) }))).violations;

  it('is an upstream that is not there, or not in that version, or of another project', async () => {
    expect(
      await refused([{ slug: 'github' }, { slug: 'nope' }, { slug: 'files', version: 'v9' }, { slug: 'theirs' }]),
    ).toEqual([
      { field: 'upstreams[1]', description: 'there is no upstream "nope" in the project; create it first' },
      { field: 'upstreams[2]', description: 'the upstream "files" has no version "v9", only v1, v2' },
      { field: 'upstreams[3]', description: 'there is no upstream "theirs" in the project; create it first' },
    ]);
  });

  it('is an upstream that is listed twice', async () => {
    expect(await refused([{ slug: 'files' }, { slug: 'github' }, { slug: 'files', version: 'v1' }])).toEqual([
      {
        field: 'upstreams[2]',
        description: 'names the same slug and version as upstreams[0]; name each upstream once',
      },
    ]);
  });

  it('is a prefix that two upstreams share, unless it is empty', async () => {
    const clash = {
      field: 'upstreams[1].name_prefix',
      description: 'puts "files_" before its names, as upstreams[0] does; set another name_prefix',
    };
    expect(await refused([{ slug: 'files' }, { slug: 'files', version: 'v2' }])).toEqual([clash]);
    expect(await refused([{ slug: 'files' }, { slug: 'github', namePrefix: 'files' }])).toEqual([clash]);
    const { gateway } = await client().createGateway({
      slug: 'shared',
      upstreams: [
        { slug: 'files', namePrefix: '' },
        { slug: 'github', namePrefix: '' },
        { slug: 'files', version: 'v2' },
      ],
    });
    expect(gateway?.upstreams).toHaveLength(3);
  });

  it('is a prefix that clashes only since an upstream was added', async () => {
    await client().createGateway({ slug: 'shared', upstreams: [{ slug: 'files' }] });
    const patch = { upstreams: [{ slug: 'github', name_prefix: 'files' }] };
    expect((await refusalOf(client().patchGateway({ ...shared, patch }))).violations).toEqual([
      {
        field: 'patch.upstreams[0].name_prefix',
        description: 'puts "files_" before its names, as upstreams[0] does; set another name_prefix',
      },
    ]);
    const update = client().updateGateway({
      ...shared,
      upstreams: { upstreams: [{ slug: 'files' }, { slug: 'github', namePrefix: 'files' }] },
    });
    expect((await refusalOf(update)).violations).toEqual([
      {
        field: 'upstreams.upstreams[1].name_prefix',
        description: 'puts "files_" before its names, as upstreams.upstreams[0] does; set another name_prefix',
      },
    ]);
  });

  it('is two tools of an upstream that are renamed to the same', async () => {
    const tools = { read: { name: 'open' }, load: { name: 'open' }, write: { name: 'save' } };
    expect(await refused([{ slug: 'files', tools }])).toEqual([
      {
        field: 'upstreams[0].tools["load"].name',
        description: 'is what tools["read"] is called too; choose another name',
      },
    ]);
    await client().createGateway({
      slug: 'shared',
      upstreams: [
        { slug: 'files', tools: { read: { name: 'open' } } },
        { slug: 'github', tools: { read: { name: 'open' } } },
      ],
    });
  });

  it('is an upstream that a patch names and that is not there, by its place in the patch', async () => {
    await client().createGateway({ slug: 'shared', upstreams: [{ slug: 'files' }, { slug: 'github' }] });
    const patch = { upstreams: [{ slug: 'github', _delete: true }, { slug: 'nope' }] };
    expect(await refusalOf(client().patchGateway({ ...shared, patch }))).toMatchObject({
      code: 'InvalidArgument',
      reason: 'ERROR_REASON_VALIDATION_FAILED',
      violations: [
        { field: 'patch.upstreams[1]', description: 'there is no upstream "nope" in the project; create it first' },
      ],
    });
    expect((await client().getGateway(shared)).gateway).toMatchObject({ etag: '1', upstreams: [{}, {}] });
  });

  it('is an override of an unknown key', async () => {
    await client().createGateway({ slug: 'shared', upstreams: [{ slug: 'files' }] });
    const patch = { upstreams: [{ slug: 'files', denied_tools: ['x'] }] };
    expect((await refusalOf(client().patchGateway({ ...shared, patch }))).violations).toMatchObject([
      {
        field: 'patch.upstreams[0].denied_tools',
        description: expect.stringMatching(/^is not a key here; use one of/),
      },
    ]);
  });

  it('is a number that JSON has no form for', async () => {
    await client().createGateway({ slug: 'shared', upstreams: [{ slug: 'files' }] });
    for (const amount of [Number.NaN, Number.POSITIVE_INFINITY]) {
      const tools = { pay: { fixedArguments: { limits: [{ amount }] } } };
      const path = 'upstreams[0].tools["pay"].fixed_arguments.limits[0].amount';
      const description = 'must not be NaN or infinite';
      expect(await refused([{ slug: 'files', tools }])).toEqual([{ field: path, description }]);
      const patch = { upstreams: [{ slug: 'files', tools: { pay: { fixed_arguments: { limits: [{ amount }] } } } }] };
      const request = create(PatchGatewayRequestSchema, { ...shared, patch });
      expect((await refusalOf(client().patchGateway(request))).violations).toEqual([
        { field: `patch.${path}`, description },
      ]);
    }
  });

  it('is its size', async () => {
    await client().createGateway({ slug: 'shared', upstreams: [{ slug: 'files' }] });
    const tools = (prefix: string) =>
      Object.fromEntries(
        Array.from({ length: 40 }, (_, index) => [prefix + index, { description: 'x'.repeat(8_000) }]),
      );
    await client().patchGateway({ ...shared, patch: { upstreams: [{ slug: 'files', tools: tools('a') }] } });
    const more = client().patchGateway({ ...shared, patch: { upstreams: [{ slug: 'files', tools: tools('b') }] } });
    expect((await refusalOf(more)).violations).toEqual([
      { field: '', description: 'The gateway must be at most 512 KiB as JSON, with all its overrides.' },
    ]);
  });

  it('is a slug that is reserved, a version, a prefix or a name that is none, and a timeout beyond its limits', async () => {
    const cases: [MessageInitShape<typeof CreateGatewayRequestSchema>, string][] = [
      [{ slug: 'gateways' }, 'slug'],
      [{ slug: 'Shared' }, 'slug'],
      [{ slug: 'x', version: 'v 1' }, 'version'],
      [{ slug: 'x', upstreams: [{ slug: '' }] }, 'upstreams[0].slug'],
      [{ slug: 'x', upstreams: [{ slug: 'files', namePrefix: 'a b' }] }, 'upstreams[0].name_prefix'],
      [{ slug: 'x', upstreams: [{ slug: 'files', tools: { a: { name: 'a b' } } }] }, 'upstreams[0].tools["a"].name'],
      [{ slug: 'x', upstreams: [{ slug: 'files', timeout: { seconds: 3601n } }] }, 'upstreams[0].timeout'],
      [{ slug: 'x', upstreams: [{ slug: 'files', timeout: {} }] }, 'upstreams[0].timeout'],
    ];
    for (const [request, field] of cases) {
      expect((await refusalOf(client().createGateway(request))).violations).toMatchObject([{ field }]);
    }
  });

  it('is a patch that is not there', async () => {
    await client().createGateway({ slug: 'shared' });
    expect((await refusalOf(client().patchGateway(shared))).violations).toMatchObject([{ field: 'patch' }]);
  });

  it('in one part of a patch keeps all of it from being stored', async () => {
    await client().createGateway({ slug: 'shared', upstreams: [{ slug: 'files' }] });
    await refusalOf(client().patchGateway({ ...shared, etag: '1', patch: { display_name: 'x', nope: 1 } }));
    expect((await client().getGateway(shared)).gateway).toMatchObject({ displayName: '', etag: '1' });
  });
});
