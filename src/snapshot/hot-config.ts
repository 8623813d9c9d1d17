import type { Unsubscribe } from '../db/bell.ts';
import { readChangesSince, readConfigVersion } from '../db/config-changes.ts';
import type { Store } from '../db/store.ts';
import type { Agent } from '../domain/agent.ts';
import { GatewayError } from '../domain/errors.ts';
import type { Gateway } from '../domain/gateway.ts';
import type { GatewayId, PrincipalId, ProjectId, UpstreamId } from '../domain/ids.ts';
import type { Policy } from '../domain/policy.ts';
import type { Project } from '../domain/project.ts';
import { DEFAULT_VERSION } from '../domain/target.ts';
import type { Upstream } from '../domain/upstream.ts';
import { type Applied, applyChanges } from './apply-changes.ts';
import type { KeyEntry, UserEntry } from './credentials.ts';
import { createListeners } from './listeners.ts';
import { createSerial } from './serial.ts';
import type { SlugIndex } from './slug-index.ts';
import { createState, loadState, type State } from './state.ts';

/** Hears of an upstream that was created, changed or (undefined) deleted. */
export type UpstreamListener = (upstream: Upstream | undefined, id: UpstreamId) => void;

/** Hears of a gateway that was created, changed, brought back or (undefined) deleted. */
export type GatewayListener = (gateway: Gateway | undefined, id: GatewayId) => void;

/** Hears of approvals that were created or changed, by their ids; none = there may be some, but which is not known. */
export type ApprovalListener = (ids: readonly string[]) => void;

/** The configuration that calls need, in memory; what it hands out is immutable and may be kept for the time of a call. */
export interface HotConfig {
  /** `secretHash`: SHA-256 of the whole key text, hex. */
  findKey(secretHash: string): KeyEntry | undefined;
  findUser(id: PrincipalId): UserEntry | undefined;
  findAgent(projectId: ProjectId, idOrSlug: string): Agent | undefined;
  /** By id, or by address: `slug` for the version `v1`, or `slug@version`. */
  findUpstream(projectId: ProjectId, addressOrId: string): Upstream | undefined;
  /** An active gateway, likewise. */
  findGateway(projectId: ProjectId, addressOrId: string): Gateway | undefined;
  /** Upstreams of a project, in no particular order. */
  upstreams(projectId: ProjectId): Iterable<Upstream>;
  /** Policies of a project in any mode: the same array until one of them changes. */
  getPolicies(projectId: ProjectId): readonly Policy[];
  /** Throws `not_found` when the project is gone. */
  getProject(id: ProjectId): Project;
  isSessionEnded(sessionId: string): boolean;
  /** Milliseconds since the beginning of the last read of the store that succeeded. */
  ageMs(): number;
  onUpstreamChange(listener: UpstreamListener): Unsubscribe;
  onGatewayChange(listener: GatewayListener): Unsubscribe;
  onApprovalChange(listener: ApprovalListener): Unsubscribe;
  /** Resolves when everything committed before the call is visible; throws what the driver threw. */
  refresh(): Promise<void>;
  /** Stops following the store; what was read stays readable. */
  close(): void;
}

export interface HotConfigOptions {
  /** How often the store is asked for changes besides the doorbell, in milliseconds; 400 by default. */
  readonly pollMs?: number;
  /** Hears the first failure of each run of failures to read the store. */
  readonly onError?: (error: unknown) => void;
}

/** Loads the configuration and follows its changes until it is closed. */
export async function createHotConfig(store: Store, options: HotConfigOptions = {}): Promise<HotConfig> {
  const { pollMs = 400, onError = () => {} } = options;
  const reader = createReader(store);
  await reader.refresh();
  const stop = follow(store, reader.refresh, pollMs, onError);
  return {
    findKey: (secretHash) => reader.state().credentials.findKey(secretHash),
    findUser: (id) => reader.state().credentials.findUser(id),
    findAgent: (projectId, idOrSlug) => reader.state().agents.find(projectId, idOrSlug),
    findUpstream: (projectId, addressOrId) => reader.state().upstreams.find(projectId, shortened(addressOrId)),
    findGateway: (projectId, addressOrId) => reader.state().gateways.find(projectId, shortened(addressOrId)),
    upstreams: (projectId) => reader.state().upstreams.list(projectId),
    getPolicies: (projectId) => reader.state().policies.list(projectId),
    getProject(id) {
      const project = reader.state().projects.get(id);
      if (project === undefined) throw new GatewayError('not_found', 'The project of this credential was deleted.');
      return project;
    },
    isSessionEnded: (sessionId) => reader.state().endedSessions.has(sessionId),
    ageMs: () => performance.now() - reader.readAt(),
    onUpstreamChange: reader.onUpstreamChange,
    onGatewayChange: reader.onGatewayChange,
    onApprovalChange: reader.onApprovalChange,
    refresh: reader.refresh,
    close: stop,
  };
}

const DEFAULT_SUFFIX = `@${DEFAULT_VERSION}`;

/** `slug@v1` is `slug`. */
function shortened(address: string): string {
  return address.endsWith(DEFAULT_SUFFIX) ? address.slice(0, -DEFAULT_SUFFIX.length) : address;
}

/** How often ended sessions whose tokens have expired are forgotten, in milliseconds. */
const FORGET_MS = 60_000;

/** Keeps a State up to date with the store, one read at a time. */
function createReader(store: Store) {
  let state = createState();
  /** Version of the configuration that `state` holds; before the first read there is none. */
  let version: number | undefined;
  let readAt = Number.NEGATIVE_INFINITY;
  let forgotAt = performance.now();
  const upstreamListeners = createListeners<UpstreamListener>();
  const gatewayListeners = createListeners<GatewayListener>();
  const approvalListeners = createListeners<ApprovalListener>();

  const reload = async (): Promise<Applied> => {
    // The version first: what changes during the load is then read once more, never missed.
    const loadedVersion = await readConfigVersion(store.db);
    const loaded = await loadState(store.db);
    const upstreamIds = changed(state.upstreams, loaded.upstreams);
    const gatewayIds = changed(state.gateways, loaded.gateways);
    state = loaded;
    version = loadedVersion;
    return { upstreamIds, gatewayIds, approvalIds: undefined };
  };

  const tell = ({ upstreamIds, gatewayIds, approvalIds }: Applied): void => {
    for (const id of upstreamIds) upstreamListeners.tell(state.upstreams.findById(id), id);
    for (const id of gatewayIds) gatewayListeners.tell(state.gateways.findById(id), id);
    if (approvalIds?.length !== 0) approvalListeners.tell(approvalIds ?? []);
  };

  const read = async (): Promise<void> => {
    const began = performance.now();
    const changes = version === undefined ? undefined : await readChangesSince(store.db, version);
    const applied = changes === undefined ? await reload() : await applyChanges(store.db, state, changes);
    version = changes?.at(-1)?.version ?? version;
    readAt = began;
    if (began - forgotAt > FORGET_MS) {
      forgotAt = began;
      forgetExpired(state.endedSessions, Date.now());
    }
    tell(applied);
  };

  return {
    state: () => state,
    readAt: () => readAt,
    refresh: createSerial(read),
    onUpstreamChange: upstreamListeners.add,
    onGatewayChange: gatewayListeners.add,
    onApprovalChange: approvalListeners.add,
  };
}

function forgetExpired(endedSessions: State['endedSessions'], now: number): void {
  for (const [sessionId, expireTime] of endedSessions) if (expireTime <= now) endedSessions.delete(sessionId);
}

/** Ids of resources that only one of the two has, or in another revision. */
function changed<Item extends Upstream | Gateway>(before: SlugIndex<Item>, after: SlugIndex<Item>): Item['id'][] {
  const ids = new Set<Item['id']>();
  for (const { id } of before.all()) if (after.findById(id) === undefined) ids.add(id);
  for (const { id, revision } of after.all()) if (before.findById(id)?.revision !== revision) ids.add(id);
  return [...ids];
}

/** Refreshes at the doorbell and at intervals, until the returned function is called. */
function follow(
  store: Store,
  refresh: () => Promise<void>,
  pollMs: number,
  onError: (error: unknown) => void,
): Unsubscribe {
  let failing = false;
  const attempt = async () => {
    try {
      await refresh();
      failing = false;
    } catch (error) {
      if (!failing) onError(error);
      failing = true;
    }
  };
  const unsubscribe = store.onConfigChange(attempt);
  // A slow store makes ticks share a read, it does not pile them up.
  const timer = setInterval(() => void attempt(), pollMs).unref();
  return () => {
    unsubscribe();
    clearInterval(timer);
  };
}
