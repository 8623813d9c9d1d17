import type { Gateway } from '../../src/domain/gateway.ts';
import type { ProjectId } from '../../src/domain/ids.ts';
import type { Policy } from '../../src/domain/policy.ts';
import type { Project } from '../../src/domain/project.ts';
import { addressOf } from '../../src/domain/target.ts';
import type { Upstream } from '../../src/domain/upstream.ts';
import type { GatewayListener, HotConfig, UpstreamListener } from '../../src/snapshot/hot-config.ts';

export const PROJECT: Project = {
  id: 'project-1' as ProjectId,
  slug: 'default',
  displayName: '',
  recordedArguments: 'redacted',
  redactedKeys: [],
  defaultEffect: 'allow',
  revision: 1,
  createTime: 0,
  updateTime: 0,
};

/** A configuration in memory, and what operators do to it. */
export interface MemoryConfig {
  readonly config: HotConfig;
  /** Creates an upstream, or puts another version of it in force. */
  putUpstream(upstream: Upstream): void;
  deleteUpstream(id: string): void;
  /** Creates a gateway, or puts another version of it in force. */
  putGateway(gateway: Gateway): void;
  setPolicies(policies: readonly Policy[]): void;
  endSession(id: string): void;
}

export interface MemoryConfigOptions {
  readonly upstreams: readonly Upstream[];
  readonly gateways: readonly Gateway[];
  readonly policies: readonly Policy[];
}

export function createMemoryConfig(options: MemoryConfigOptions): MemoryConfig {
  const upstreams = new Map<string, Upstream>(options.upstreams.map((upstream) => [upstream.id, upstream]));
  const gateways = new Map<string, Gateway>(options.gateways.map((gateway) => [gateway.id, gateway]));
  const upstreamListeners = new Set<UpstreamListener>();
  const gatewayListeners = new Set<GatewayListener>();
  const endedSessions = new Set<string>();
  let { policies } = options;
  const find = <Item extends Upstream | Gateway>(items: Map<string, Item>, name: string): Item | undefined => {
    const address = name.endsWith('@v1') ? name.slice(0, -'@v1'.length) : name;
    return items.get(name) ?? [...items.values()].find((item) => addressOf(item) === address);
  };
  const listen =
    <Listener>(listeners: Set<Listener>) =>
    (listener: Listener) => {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    };
  const putUpstream = (upstream: Upstream) => {
    const revision = (upstreams.get(upstream.id)?.revision ?? 0) + 1;
    upstreams.set(upstream.id, { ...upstream, revision });
    for (const listener of upstreamListeners) listener({ ...upstream, revision }, upstream.id);
  };
  return {
    config: {
      getProject: () => PROJECT,
      getPolicies: () => policies,
      findUpstream: (_projectId: ProjectId, name: string) => find(upstreams, name),
      findGateway: (_projectId: ProjectId, name: string) => find(gateways, name),
      upstreams: () => upstreams.values(),
      onUpstreamChange: listen(upstreamListeners),
      onGatewayChange: listen(gatewayListeners),
      isSessionEnded: (id: string) => endedSessions.has(id),
      ageMs: () => 0,
    } as unknown as HotConfig,
    putUpstream,
    deleteUpstream(id) {
      const gone = upstreams.get(id);
      upstreams.delete(id);
      if (gone !== undefined) for (const listener of upstreamListeners) listener(undefined, gone.id);
    },
    putGateway(gateway) {
      const revision = (gateways.get(gateway.id)?.revision ?? 0) + 1;
      gateways.set(gateway.id, { ...gateway, revision });
      for (const listener of gatewayListeners) listener({ ...gateway, revision }, gateway.id);
    },
    setPolicies(next) {
      policies = next;
    },
    endSession: (id) => void endedSessions.add(id),
  };
}
