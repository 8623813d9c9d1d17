import type { OutcomeStatus } from '../domain/decision.ts';
import type { Principal } from '../domain/principal.ts';
import type { Upstream } from '../domain/upstream.ts';
import type { HotConfig } from '../snapshot/hot-config.ts';
import { createChannels } from './channels.ts';
import type { UpstreamLog } from './connection.ts';
import { createOpenConnection } from './connections.ts';
import { createCredentials } from './credentials.ts';
import { createEraBook } from './era.ts';
import { createUpstreamHealth } from './health.ts';
import { createNetworkGuard } from './network-guard.ts';
import { createOwnClient } from './own-client.ts';
import { createUpstreamPools } from './pools.ts';
import { createUpstreamProcesses } from './processes.ts';
import { createStreamableClient } from './streamable.ts';
import { createTestUpstream } from './upstream-test.ts';
import { createWebhookClient } from './webhook-client.ts';

export interface UpstreamFaceDeps {
  readonly networks: readonly string[];
  readonly stdioCommands: readonly string[];
  /** Opens an upstream's sealed secrets. */
  readonly open: (sealed: string) => Promise<string>;
  readonly hotConfig: Pick<HotConfig, 'onUpstreamChange'>;
  readonly logger: UpstreamLog;
  readonly hostEnv: Readonly<Record<string, string | undefined>>;
}

export type UpstreamFace = ReturnType<typeof createUpstreamFace>;

/** Makes everything that talks to upstreams, and keeps it in step with their configuration. */
export function createUpstreamFace(deps: UpstreamFaceDeps) {
  const { logger: log, stdioCommands: allowedCommands, hostEnv } = deps;
  const credentials = createCredentials({ open: deps.open });
  const guard = createNetworkGuard(deps.networks);
  const pools = createUpstreamPools({ guard });
  const client = createStreamableClient({ pools, credentials });
  const processes = createUpstreamProcesses({ credentials, allowedCommands, hostEnv, log });
  const openConnection = createOpenConnection({ processes, client });
  const eras = createEraBook({ client, openConnection });
  const health = createUpstreamHealth();
  const channels = createChannels({ openConnection, log });
  const ownClient = createOwnClient({ channels, eras, health });
  const test = createTestUpstream({ openConnection, eras, health, log });
  const stopFollowing = deps.hotConfig.onUpstreamChange((_upstream, id) => {
    for (const part of [channels, pools, eras]) {
      part.forget(id);
    }
  });

  /** Notes how an exchange on the MCP face ended: an upstream that failed is asked for its era again. */
  function noteEnd(upstream: Upstream, status: OutcomeStatus): void {
    if (status === 'upstream_error' || status === 'timeout') {
      health.report(upstream.id, false);
      eras.forget(upstream.id);
    } else if (status !== 'canceled') {
      health.report(upstream.id, true);
    }
  }

  async function close(): Promise<void> {
    stopFollowing();
    await channels.close();
    await processes.close();
    await pools.close();
  }

  const probe = {
    test: (upstream: Upstream) => test(upstream),
    listTools: (upstream: Upstream, principal: Principal, signal: AbortSignal) =>
      ownClient.listTools(upstream, principal, { signal }),
  };
  const sendWebhook = createWebhookClient({ guard });
  return { client, channels, eras, health, ownClient, probe, sendWebhook, noteEnd, close };
}
