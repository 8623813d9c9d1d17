import type { ServiceImpl } from '@connectrpc/connect';
import { type Health, HealthCheckResponse_ServingStatus as Status } from '../../gen/grpc/health/v1/health_pb.ts';
import { GatewayError } from '../domain/errors.ts';

export interface HealthServiceDeps {
  /** True while requests can be answered: the store is reachable and the process is not stopping. Never throws. */
  readonly readiness: () => boolean | Promise<boolean>;
  /** Full names of the services that are served. */
  readonly serviceNames: readonly string[];
  /** How often a watch looks, in milliseconds. */
  readonly watchIntervalMs?: number;
}

/** Serves grpc.health.v1: the empty service name and every served one have the readiness of the process. */
export function createHealthService(deps: HealthServiceDeps): ServiceImpl<typeof Health> {
  const names = new Set(['', ...deps.serviceNames]);
  const status = async () => ((await deps.readiness()) ? Status.SERVING : Status.NOT_SERVING);
  return {
    async check({ service }) {
      if (!names.has(service)) {
        throw new GatewayError('not_found', `There is no service "${service}".`);
      }
      return { status: await status() };
    },
    async list() {
      const current = await status();
      return { statuses: Object.fromEntries([...names].map((name) => [name, { status: current }])) };
    },
    async *watch({ service }, { signal }) {
      // The protocol wants a status for unknown services, and only changes after the first.
      let sent: Status | undefined;
      while (!signal.aborted) {
        const current = names.has(service) ? await status() : Status.SERVICE_UNKNOWN;
        if (current !== sent) {
          sent = current;
          yield { status: current };
        }
        await pause(deps.watchIntervalMs ?? 1_000, signal);
      }
      signal.throwIfAborted();
    },
  };
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener('abort', done);
    if (signal.aborted) {
      done();
    }
  });
}
