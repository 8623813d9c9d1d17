/** Which upstreams answered when they were last called. */
export interface UpstreamHealth {
  /** Notes how an exchange ended: false when the upstream could not be reached or gave no valid answer. */
  report(upstreamId: string, isReached: boolean): void;
  /** True until the last exchange failed. */
  isHealthy(upstreamId: string): boolean;
}

/** Makes a book in which every upstream is healthy; it holds the unhealthy ones only. */
export function createUpstreamHealth(): UpstreamHealth {
  const unhealthy = new Set<string>();
  return {
    report(upstreamId, isReached) {
      if (!isReached) {
        unhealthy.add(upstreamId);
      } else if (unhealthy.size > 0) {
        unhealthy.delete(upstreamId);
      }
    },
    isHealthy: (upstreamId) => !unhealthy.has(upstreamId),
  };
}
