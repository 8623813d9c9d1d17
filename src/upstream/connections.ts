import type { Era, Upstream } from '../domain/upstream.ts';
import type { Connection } from './connection.ts';
import type { UpstreamProcesses } from './processes.ts';
import { SseConnection } from './sse-connection.ts';
import type { StreamableClient } from './streamable.ts';
import { StreamableConnection } from './streamable-connection.ts';

/** Opens a new Connection to an upstream, in an era that it speaks. */
export type OpenConnection = (upstream: Upstream, era: Era) => Promise<Connection>;

/** Makes the opener that picks by transport. */
export function createOpenConnection(deps: { processes: UpstreamProcesses; client: StreamableClient }): OpenConnection {
  return async (upstream, era) => {
    switch (upstream.transport.kind) {
      case 'stdio':
        return deps.processes.start(upstream);
      case 'sse':
        return new SseConnection(deps.client, upstream, upstream.transport.url);
      case 'streamable_http':
        return new StreamableConnection(deps.client, upstream, era);
    }
  };
}
