import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Upstream } from '../../gen/portcullis/v1/upstream_pb.ts';
import { UpstreamService } from '../../gen/portcullis/v1/upstream_service_pb.ts';
import type { UpstreamId } from '../../src/domain/ids.ts';
import { createInstallation, type Installation, refusalOf } from './installation.ts';

let gateway: Installation;

beforeEach(async () => {
  gateway = await createInstallation({
    probe: {
      test: async ({ version }) => ({ ok: true, status: 200, latencyMs: 1, message: `This is ${version}.` }),
      listTools: async ({ version }) => [{ name: `tool_of_${version}` }],
    },
  });
});

afterEach(() => gateway.close());

const client = () => gateway.as(gateway.admin, UpstreamService);
const demo = (version?: string) => ({
  slug: 'demo',
  transport: { value: { case: 'streamableHttp' as const, value: { url: 'https://mcp.example.com/mcp' } } },
  ...(version === undefined ? {} : { version }),
});
const ref = (slug: string, version?: string) => ({
  value: { case: 'slug' as const, value: slug },
  ...(version === undefined ? {} : { version }),
});

async function createBoth(): Promise<readonly [Upstream, Upstream]> {
  const [first, second] = [
    (await client().createUpstream(demo())).upstream,
    (await client().createUpstream(demo('v2'))).upstream,
  ];
  if (first === undefined || second === undefined) {
    throw new Error('nothing was created');
  }
  return [first, second];
}

describe('a version of an upstream', () => {
  it('is v1 unless the request names another, and the slug is taken once in each', async () => {
    const [first, second] = await createBoth();
    expect([first, second]).toMatchObject([
      { slug: 'demo', version: 'v1' },
      { slug: 'demo', version: 'v2' },
    ]);
    expect(second.id).not.toBe(first.id);
    for (const taken of [demo(), demo('v1'), demo('v2')]) {
      expect(await refusalOf(client().createUpstream(taken))).toMatchObject({
        code: 'AlreadyExists',
        message: expect.stringContaining('Choose another slug or version.'),
      });
    }
    expect((await client().listUpstreams({})).upstreams).toEqual([first, second]);
  });

  it.each(['V2', '2026-07-28', '1.0', 'v2_beta', 'x'.repeat(32)])('may be called %j', async (version) => {
    expect((await client().createUpstream(demo(version))).upstream?.version).toBe(version);
    expect((await client().getUpstream({ upstream: ref('demo', version) })).upstream?.version).toBe(version);
  });

  it.each(['v@2', '-1', 'v2.', 'v 2', 'v/2', 'é', 'x'.repeat(33)])('may not be called %j', async (version) => {
    const { violations } = await refusalOf(client().createUpstream(demo(version)));
    expect(violations).toMatchObject([{ field: 'version' }]);
  });

  it('is what every method means that names it, by slug and version or by id', async () => {
    const [first, second] = await createBoth();
    for (const [upstream, names] of [
      [first, [ref('demo'), ref('demo', 'v1'), { value: { case: 'id' as const, value: first.id }, version: 'v2' }]],
      [second, [ref('demo', 'v2'), { value: { case: 'id' as const, value: second.id } }]],
    ] as const) {
      for (const name of names) {
        expect((await client().getUpstream({ upstream: name })).upstream?.id).toBe(upstream.id);
        expect((await client().testUpstream({ upstream: name })).message).toBe(`This is ${upstream.version}.`);
        const { tools } = await client().listUpstreamTools({ upstream: name });
        expect(tools).toMatchObject([
          {
            tool: {
              name: `tool_of_${upstream.version}`,
              upstreamSlug: 'demo',
              upstreamVersion: upstream.version,
              upstreamToolName: `tool_of_${upstream.version}`,
            },
          },
        ]);
      }
    }
    const { upstream: changed } = await client().updateUpstream({ upstream: ref('demo', 'v2'), enabled: false });
    expect(changed).toMatchObject({ id: second.id, version: 'v2', enabled: false });
    expect((await client().getUpstream({ upstream: ref('demo') })).upstream?.enabled).toBe(true);
    await client().deleteUpstream({ upstream: ref('demo') });
    expect((await client().listUpstreams({})).upstreams.map(({ id }) => id)).toEqual([second.id]);
  });

  it('that is not there is refused with those that are, as far as the caller may see them', async () => {
    const [, second] = await createBoth();
    const refused = async (caller: Installation['admin'], upstream: ReturnType<typeof ref>) =>
      (await refusalOf(gateway.as(caller, UpstreamService).getUpstream({ upstream }))).message;
    const hidden = (name: string) => `The credential has no access to the upstream "${name}" (or it might not exist).`;
    expect(await refused(gateway.admin, ref('demo', 'v9'))).toBe(`${hidden('demo@v9')} Versions of "demo": v1, v2.`);
    await client().deleteUpstream({ upstream: ref('demo') });
    expect(await refused(gateway.admin, ref('demo'))).toBe(`${hidden('demo')} Versions of "demo": v2.`);
    expect(await refused(gateway.admin, ref('no-such', 'v2'))).toBe(hidden('no-such@v2'));
    const limited = { ...gateway.admin, grants: new Set<UpstreamId>() };
    expect(await refused(limited, ref('demo'))).toBe(hidden('demo'));
    const granted = { ...gateway.admin, grants: new Set([second.id as UpstreamId]) };
    expect(await refused(granted, ref('demo'))).toBe(`${hidden('demo')} Versions of "demo": v2.`);
    expect(await refused(gateway.otherAdmin, ref('demo', 'v2'))).toBe(hidden('demo@v2'));
  });

  it('is granted by itself: a grant of one version reaches no other', async () => {
    const [, second] = await createBoth();
    const limited = gateway.as({ ...gateway.admin, grants: new Set([second.id as UpstreamId]) }, UpstreamService);
    expect((await limited.listUpstreams({})).upstreams.map(({ version }) => version)).toEqual(['v2']);
    expect((await limited.getUpstream({ upstream: ref('demo', 'v2') })).upstream?.id).toBe(second.id);
    expect(await refusalOf(limited.getUpstream({ upstream: ref('demo') }))).toMatchObject({ code: 'PermissionDenied' });
  });
});
