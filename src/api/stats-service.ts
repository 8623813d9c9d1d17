import { durationFromMs, timestampFromMs } from '@bufbuild/protobuf/wkt';
import type { ServiceImpl } from '@connectrpc/connect';
import type { StatsService } from '../../gen/portcullis/v1/stats_service_pb.ts';
import type { ProjectId, UpstreamId } from '../domain/ids.ts';
import { isGranted } from '../domain/principal.ts';
import type { Upstream } from '../domain/upstream.ts';
import type { UpstreamHealth } from '../upstream/health.ts';
import { getCaller } from './context.ts';
import { type TargetProjectDeps, targetProjectId } from './target-project.ts';

/** Counts of one upstream since this process started. */
interface UpstreamCounts {
  readonly requests: number;
  readonly allowed: number;
  readonly denied: number;
  readonly approvalsRequired: number;
}

export interface StatsServiceDeps extends TargetProjectDeps {
  readonly version: string;
  readonly usage: {
    /** Unix milliseconds. */
    readonly startTime: number;
    ofUpstream(id: UpstreamId): UpstreamCounts;
  };
  readonly health: Pick<UpstreamHealth, 'isHealthy'>;
  /** The upstreams of a project, as the process works with them. */
  readonly upstreams: (projectId: ProjectId) => Iterable<Upstream>;
}

/** Upstreams that are listed one by one. */
const LISTED = 100;

/** Serves StatsService. */
export function createStatsService(deps: StatsServiceDeps): ServiceImpl<typeof StatsService> {
  return {
    async getStats(request, { values }) {
      const caller = getCaller(values);
      const projectId = await targetProjectId(deps, caller, request.project);
      const counted = [...deps.upstreams(projectId)]
        .filter(({ id }) => isGranted(caller, id))
        .map((upstream) => ({ upstream, counts: deps.usage.ofUpstream(upstream.id) }));
      const active = counted.filter(({ upstream }) => upstream.enabled);
      const { startTime } = deps.usage;
      return {
        stats: {
          startTime: timestampFromMs(startTime),
          uptime: durationFromMs(Math.max(0, Date.now() - startTime)),
          version: deps.version,
          totalUpstreams: counted.length,
          activeUpstreams: active.length,
          healthyUpstreams: active.filter(({ upstream }) => deps.health.isHealthy(upstream.id)).length,
          ...toCounts(sum(counted.map(({ counts }) => counts))),
          upstreams: findBusiest(counted).map(({ upstream, counts }) => ({
            upstreamId: upstream.id,
            slug: upstream.slug,
            version: upstream.version,
            ...toCounts(counts),
          })),
        },
      };
    },
  };
}

function findBusiest<Counted extends { counts: UpstreamCounts }>(counted: readonly Counted[]): Counted[] {
  return counted
    .filter(({ counts }) => counts.requests + counts.denied + counts.approvalsRequired > 0)
    .sort((a, b) => b.counts.requests - a.counts.requests)
    .slice(0, LISTED);
}

function sum(all: readonly UpstreamCounts[]): UpstreamCounts {
  const total = { requests: 0, allowed: 0, denied: 0, approvalsRequired: 0 };
  for (const counts of all) {
    total.requests += counts.requests;
    total.allowed += counts.allowed;
    total.denied += counts.denied;
    total.approvalsRequired += counts.approvalsRequired;
  }
  return total;
}

function toCounts(counts: UpstreamCounts) {
  return {
    forwardedRequests: BigInt(counts.requests),
    allowedCalls: BigInt(counts.allowed),
    deniedCalls: BigInt(counts.denied),
    approvalRequiredCalls: BigInt(counts.approvalsRequired),
  };
}
