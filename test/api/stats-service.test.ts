import { afterEach, describe, expect, it } from 'vitest';
import { StatsService } from '../../gen/portcullis/v1/stats_service_pb.ts';
import { UpstreamService } from '../../gen/portcullis/v1/upstream_service_pb.ts';
import type { UpstreamId } from '../../src/domain/ids.ts';
import { createInstallation, type Installation, NOW } from './installation.ts';

let gateway: Installation;

afterEach(() => gateway.close());

const CALM = {
  slug: 'calm',
  transport: { value: { case: 'streamableHttp' as const, value: { url: 'https://mcp.example.com/' } } },
};

describe('the stats of a project', () => {
  it('count its upstreams, each version by itself, and what they were asked, the busiest first', async () => {
    const counts = new Map<string, number>();
    gateway = await createInstallation({
      health: { isHealthy: (id) => counts.get(id) !== 2 },
      usage: {
        startTime: NOW,
        ofUpstream: (id: UpstreamId) => {
          const requests = counts.get(id) ?? 0;
          return { requests, allowed: requests, denied: requests === 0 ? 0 : 1, approvalsRequired: 0 };
        },
      },
    });
    const client = gateway.as(gateway.admin, UpstreamService);
    const ids: UpstreamId[] = [];
    for (const [slug, enabled, requests] of [
      ['calm', true, 2],
      ['busy', false, 9],
      ['idle', true, 0],
    ] as const) {
      const { upstream } = await client.createUpstream({ ...CALM, slug, enabled });
      counts.set(upstream?.id ?? '', requests);
      ids.push((upstream?.id ?? '') as UpstreamId);
    }
    const { stats } = await gateway.as(gateway.admin, StatsService).getStats({});
    expect(stats).toMatchObject({
      version: '1.2.3',
      startTime: { seconds: BigInt(Math.floor(NOW / 1000)) },
      totalUpstreams: 3,
      activeUpstreams: 2,
      healthyUpstreams: 1,
      forwardedRequests: 11n,
      allowedCalls: 11n,
      deniedCalls: 2n,
      approvalRequiredCalls: 0n,
    });
    expect(stats?.upstreams.map(({ slug, forwardedRequests }) => [slug, forwardedRequests])).toEqual([
      ['busy', 9n],
      ['calm', 2n],
    ]);
    const limited = { ...gateway.admin, grants: new Set(ids.slice(0, 1)) };
    const granted = await gateway.as(limited, StatsService).getStats({});
    expect(granted.stats).toMatchObject({ totalUpstreams: 1, forwardedRequests: 2n });
    const { upstream: second } = await client.createUpstream({ ...CALM, version: 'v2' });
    counts.set(second?.id ?? '', 5);
    const versions = await gateway.as(gateway.admin, StatsService).getStats({});
    expect(versions.stats).toMatchObject({ totalUpstreams: 4, activeUpstreams: 3, forwardedRequests: 16n });
    expect(
      versions.stats?.upstreams.map(({ slug, version, forwardedRequests }) => [slug, version, forwardedRequests]),
    ).toEqual([
      ['busy', 'v1', 9n],
      ['calm', 'v2', 5n],
      ['calm', 'v1', 2n],
    ]);
    const other = await gateway.as(gateway.otherAdmin, StatsService).getStats({});
    expect(other.stats).toMatchObject({ totalUpstreams: 0, forwardedRequests: 0n });
  });
});
