import { sendJson } from '../mcp/answer.ts';
import type { HttpResponse } from '../mcp/exchange.ts';

/** What the health endpoints report. */
export interface HealthReport {
  /** True when the store answers and this process takes calls. */
  readonly isReady: boolean;
  readonly isStoreReachable: boolean;
  readonly upstreams: { readonly total: number; readonly healthy: number };
}

export interface HealthDeps {
  readonly version: string;
  /** Unix milliseconds. */
  readonly startTime: number;
  readonly report: () => Promise<HealthReport>;
}

export type Health = ReturnType<typeof createHealth>;

/** Answers `/healthz` (alive), `/readyz` (store reachable) and `/health` (the JSON of document 002); none needs a credential. */
export function createHealth(deps: HealthDeps) {
  async function answer(path: string, response: HttpResponse, requestId: string): Promise<void> {
    if (path === '/healthz') {
      return sendJson(response, requestId, 200, '{"status":"alive"}');
    }
    const report = await deps.report();
    const status = report.isReady ? 200 : 503;
    if (path === '/readyz') {
      return sendJson(response, requestId, status, JSON.stringify({ status: report.isReady ? 'ready' : 'not ready' }));
    }
    sendJson(response, requestId, status, JSON.stringify(healthJson(deps, report)));
  }

  return { answer };
}

function healthJson(deps: HealthDeps, { isReady, isStoreReachable, upstreams }: HealthReport) {
  const now = Date.now();
  return {
    status: isReady ? 'healthy' : 'unhealthy',
    timestamp: new Date(now).toISOString(),
    uptime: Math.floor((now - deps.startTime) / 1000),
    version: deps.version,
    database: isStoreReachable ? 'connected' : 'disconnected',
    mcp_servers: { ...upstreams, unhealthy: upstreams.total - upstreams.healthy },
  };
}
