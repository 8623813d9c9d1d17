import type { Effect } from '../domain/decision.ts';
import type { UpstreamId } from '../domain/ids.ts';

/** Counts of one upstream since this process started. */
export interface UpstreamUsage {
  /** Requests of any method that were forwarded. */
  requests: number;
  allowed: number;
  denied: number;
  approvalsRequired: number;
}

export type Usage = ReturnType<typeof createUsage>;

/** Counters of this process, for GetStats; they start at zero with it. */
export function createUsage(now: () => number = Date.now) {
  const startTime = now();
  const upstreams = new Map<UpstreamId, UpstreamUsage>();

  function of(id: UpstreamId): UpstreamUsage {
    let usage = upstreams.get(id);
    if (usage === undefined) {
      usage = { requests: 0, allowed: 0, denied: 0, approvalsRequired: 0 };
      upstreams.set(id, usage);
    }
    return usage;
  }

  return {
    startTime,
    /** A request that needs no decision, such as a list. */
    countRequest: (id: UpstreamId): void => {
      of(id).requests++;
    },
    countCall: (id: UpstreamId, effect: Effect): void => {
      const usage = of(id);
      if (effect === 'allow') {
        usage.requests++;
        usage.allowed++;
      } else if (effect === 'deny') {
        usage.denied++;
      } else {
        usage.approvalsRequired++;
      }
    },
    ofUpstream: (id: UpstreamId): Readonly<UpstreamUsage> => upstreams.get(id) ?? zero,
  };
}

const zero: Readonly<UpstreamUsage> = Object.freeze({ requests: 0, allowed: 0, denied: 0, approvalsRequired: 0 });
