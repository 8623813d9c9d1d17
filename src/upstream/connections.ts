import { GatewayError } from '../domain/errors.ts';
import type { Upstream } from '../domain/upstream.ts';
import type { Connection } from './connection.ts';
import type { UpstreamProcesses } from './processes.ts';
import { SseConnection } from './sse-connection.ts';
import type { StreamableClient } from './streamable.ts';

/** Opens a new Connection to a stdio or SSE upstream. */
export type OpenConnection = (upstream: Upstream) => Promise<Connection>;

/** Makes the opener that picks by transport; it throws `internal` for streamable HTTP, which has no connection to share. */
export function createOpenConnection(deps: { processes: UpstreamProcesses; client: StreamableClient }): OpenConnection {
  return async (upstream) => {
    switch (upstream.transport.kind) {
      case 'stdio':
        return deps.processes.start(upstream);
      case 'sse':
        return new SseConnection(deps.client, upstream, upstream.transport.url);
      case 'streamable_http':
        throw new GatewayError('internal', `The upstream "${upstream.slug}" is called by exchange, not by connection.`);
    }
  };
}
