import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ApiKeyService } from '../../gen/portcullis/v1/api_key_service_pb.ts';
import { UpstreamService } from '../../gen/portcullis/v1/upstream_service_pb.ts';
import type { ApiKeyId, UpstreamId } from '../../src/domain/ids.ts';
import { addUser, createInstallation, type Installation, refusalOf } from './installation.ts';

let gateway: Installation;

beforeEach(async () => {
  gateway = await createInstallation();
});

afterEach(() => gateway.close());

async function addUpstreams(count: number): Promise<string[]> {
  const client = gateway.as(gateway.admin, UpstreamService);
  const ids: string[] = [];
  for (let index = 0; index < count; index++) {
    const { upstream } = await client.createUpstream({
      slug: `upstream-${index}`,
      transport: { value: { case: 'streamableHttp', value: { url: 'https://mcp.example.com/' } } },
      enabled: index % 2 === 0,
    });
    ids.push(upstream?.id ?? '');
  }
  return ids;
}

describe('a list', () => {
  it('is complete and without repetition over its pages', async () => {
    const ids = await addUpstreams(5);
    const client = gateway.as(gateway.admin, UpstreamService);
    const seen: string[][] = [];
    let pageToken = '';
    do {
      const page = await client.listUpstreams({ pageSize: 2, pageToken });
      seen.push(page.upstreams.map(({ id }) => id));
      pageToken = page.nextPageToken;
    } while (pageToken !== '');
    expect(seen).toEqual([ids.slice(0, 2), ids.slice(2, 4), ids.slice(4)]);
  });

  it('has 50 items on a page unless told otherwise, and at most 250', async () => {
    await addUpstreams(51);
    const client = gateway.as(gateway.admin, UpstreamService);
    expect((await client.listUpstreams({})).upstreams).toHaveLength(50);
    expect((await client.listUpstreams({ pageSize: 250 })).upstreams).toHaveLength(51);
    for (const pageSize of [251, -1]) {
      expect((await refusalOf(client.listUpstreams({ pageSize }))).violations).toMatchObject([{ field: 'page_size' }]);
    }
  });

  it('shows only what the filter and the grants let through', async () => {
    const ids = await addUpstreams(5);
    const client = gateway.as(gateway.admin, UpstreamService);
    const enabled = await client.listUpstreams({ enabled: true, pageSize: 2 });
    expect(enabled.upstreams.map(({ id }) => id)).toEqual([ids[0], ids[2]]);
    const rest = await client.listUpstreams({ enabled: true, pageSize: 2, pageToken: enabled.nextPageToken });
    expect(rest.upstreams.map(({ id }) => id)).toEqual([ids[4]]);
    expect(rest.nextPageToken).toBe('');
    const limited = { ...gateway.admin, grants: new Set(ids.slice(3) as UpstreamId[]) };
    const granted = await gateway.as(limited, UpstreamService).listUpstreams({});
    expect(granted.upstreams.map(({ id }) => id)).toEqual(ids.slice(3));
  });
});

describe('a page token', () => {
  const refused = { code: 'InvalidArgument', reason: 'ERROR_REASON_PAGE_TOKEN_INVALID' };

  it('is good for its own list, filter and credential only', async () => {
    await addUpstreams(3);
    const client = gateway.as(gateway.admin, UpstreamService);
    const { nextPageToken: pageToken } = await client.listUpstreams({ pageSize: 1 });
    expect(await refusalOf(client.listUpstreams({ pageToken, enabled: true }))).toMatchObject(refused);
    expect(await refusalOf(gateway.as(gateway.admin, ApiKeyService).listApiKeys({ pageToken }))).toMatchObject(refused);
    expect(await refusalOf(gateway.as(gateway.otherAdmin, UpstreamService).listUpstreams({ pageToken }))).toMatchObject(
      refused,
    );
    const colleague = await addUser(gateway.store, gateway.admin.projectId, 'bob', ['admin']);
    expect(await refusalOf(gateway.as(colleague, UpstreamService).listUpstreams({ pageToken }))).toMatchObject(refused);
    const otherKey = { ...gateway.admin, apiKeyId: 'a-key' as ApiKeyId };
    expect(await refusalOf(gateway.as(otherKey, UpstreamService).listUpstreams({ pageToken }))).toMatchObject(refused);
    expect((await client.listUpstreams({ pageToken, pageSize: 2 })).upstreams).toHaveLength(2);
  });

  it('cannot be made up', async () => {
    const client = gateway.as(gateway.admin, UpstreamService);
    expect(await refusalOf(client.listUpstreams({ pageToken: 'made-up' }))).toMatchObject(refused);
  });
});
