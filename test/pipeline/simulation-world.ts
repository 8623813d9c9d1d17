import { onTestFinished, vi } from 'vitest';
import type { Approvals } from '../../src/approvals/approvals.ts';
import { createApprovals } from '../../src/approvals/create-approvals.ts';
import { insertProject } from '../../src/db/projects.ts';
import type { DatabaseLocation, Store } from '../../src/db/store.ts';
import { DecisionLog } from '../../src/decisions/decision-log.ts';
import type { Agent } from '../../src/domain/agent.ts';
import type { Decision } from '../../src/domain/decision.ts';
import type { ApiKeyId, PrincipalId, ProjectId, UpstreamId } from '../../src/domain/ids.ts';
import type { Policy } from '../../src/domain/policy.ts';
import type { Principal } from '../../src/domain/principal.ts';
import type { Project } from '../../src/domain/project.ts';
import { decideCall, type Ruling } from '../../src/pipeline/decide-call.ts';
import type { GovernedCall } from '../../src/pipeline/decision.ts';
import { createPolicySets } from '../../src/pipeline/policy-sets.ts';
import { createSimulation, type SimulationEvent, type SimulationRequest } from '../../src/pipeline/simulation.ts';
import type { StateBudget } from '../../src/pipeline/simulation-state.ts';
import type { HotConfig } from '../../src/snapshot/hot-config.ts';
import { openUntilTestEnds } from '../store/databases.ts';

/** When the worlds begin, in Unix milliseconds. */
export const START = Date.UTC(2040, 5, 1);

/** A call of the world's principals, as the gateway admitted it. */
export interface WorldCall {
  readonly who?: Who;
  readonly withKey?: boolean;
  readonly upstream?: string;
  readonly method?: string;
  readonly tool?: string | undefined;
  readonly arguments?: unknown;
  readonly session?: string | undefined;
  readonly face?: 'mcp' | 'api';
}

export type Who = 'one' | 'two' | 'three';

/** Two agents of one owner, and that owner. */
const principals: Readonly<Record<Who, Pick<Principal, 'kind' | 'teams' | 'ownerId'>>> = {
  one: { kind: 'agent', teams: ['red'], ownerId: 'three' as PrincipalId },
  two: { kind: 'agent', teams: ['red', 'blue'], ownerId: 'three' as PrincipalId },
  three: { kind: 'user', teams: ['blue'] },
};

/** Upstreams that there are; others are only names, as for calls that are made elsewhere. */
const upstreams: ReadonlyMap<string, { readonly id: UpstreamId; readonly slug: string }> = new Map(
  ['a', 'b', 'bank'].flatMap((slug) => {
    const upstream = { id: `upstream-${slug}` as UpstreamId, slug };
    return [
      [slug, upstream],
      [upstream.id, upstream],
    ] as const;
  }),
);

export interface World {
  readonly store: Store;
  readonly approvals: Approvals;
  readonly config: HotConfig;
  readonly projectId: ProjectId;
  /** What is in force; replaced by assignment. */
  policies: readonly Policy[];
  /** Decides calls at once, as the gateway does, and resolves when all decisions are durable. */
  decide(...calls: WorldCall[]): Promise<Ruling[]>;
  /** Approves as often as is asked for. */
  approve(ruling: Ruling): Promise<void>;
  /** Lets the clock go on. */
  pass(milliseconds: number): void;
  simulate(policies?: readonly Policy[], request?: Partial<SimulationRequest>): Promise<SimulationEvent[]>;
}

let projects = 0;

/** A database until the end of the test. */
export const openStore = (location: DatabaseLocation): Promise<Store> => openUntilTestEnds(location);

/** A project with the real path of a decision: policy sets, approvals, decision log and state in the store; only the clock is the test's. */
export async function createWorld(
  store: Store,
  change: Partial<Project> = {},
  stateBudget?: StateBudget,
): Promise<World> {
  vi.useFakeTimers({ toFake: ['Date'], now: START });
  onTestFinished(() => void vi.useRealTimers());
  const projectId = `project-${++projects}` as ProjectId;
  const project: Project = {
    id: projectId,
    slug: projectId,
    displayName: '',
    recordedArguments: 'full',
    redactedKeys: [],
    defaultEffect: 'allow',
    revision: 1,
    createTime: START,
    updateTime: START,
    ...change,
  };
  await insertProject(store.db, project);
  const config = {
    ageMs: () => 0,
    getProject: () => project,
    getPolicies: () => world.policies,
    findUpstream: (_: ProjectId, name: string) => upstreams.get(name),
    findAgent: (_: ProjectId, id: string) => findPrincipal(projectId, id, 'agent') as unknown as Agent,
    findUser: (id: string) => ({ principal: findPrincipal(projectId, id, 'user') }),
    // The rest of the configuration has no part in decisions.
  } as unknown as HotConfig;
  const approvals = createApprovals({ store, onChange: () => () => {}, now: Date.now });
  const log = new DecisionLog(store.log);
  const deps = { config, log, approvals, policies: createPolicySets(config), maxConfigAgeMs: 60_000 };
  onTestFinished(async () => {
    approvals.close();
    await log.close();
  });
  const simulation = createSimulation({ log: store.log, config, ...(stateBudget !== undefined && { stateBudget }) });
  const world: World = {
    store,
    approvals,
    config,
    projectId,
    policies: [],
    decide: (...calls) =>
      Promise.all(
        calls.map(async (call) => {
          const ruling = await decideCall(deps, governed(projectId, call));
          await ruling.committed;
          return ruling;
        }),
      ),
    async approve({ approval }) {
      if (approval === undefined) throw new Error('no approval was asked for');
      for (const name of ['ann', 'bob']) {
        const { state } = (await approvals.get(projectId, approval.id)) ?? approval;
        if (state === 'pending') {
          await approvals.vote(projectId, approval.id, approver(projectId, name), { approve: true, comment: '' });
        }
      }
    },
    pass: (milliseconds) => void vi.setSystemTime(Date.now() + milliseconds),
    async simulate(policies = world.policies, request = {}) {
      await untilReadable(world);
      return collect(
        simulation({
          projectId,
          policies,
          matches: () => true,
          signal: new AbortController().signal,
          ...request,
        }),
      );
    },
  };
  return world;
}

/** All events of a simulation. */
export async function collect(events: AsyncIterable<SimulationEvent>): Promise<SimulationEvent[]> {
  const found: SimulationEvent[] = [];
  for await (const event of events) found.push(event);
  return found;
}

/** The decisions that would change: tool, from, to, and why. */
export function changesOf(events: readonly SimulationEvent[]) {
  return events.flatMap((event) =>
    event.kind === 'change'
      ? [{ tool: event.decision.tool, from: event.from, to: event.verdict.effect, ruleIds: event.verdict.ruleIds }]
      : [],
  );
}

/** The counts at the end; undefined when there was no end. */
export function summaryOf(events: readonly SimulationEvent[]) {
  const last = events.at(-1);
  return last?.kind === 'summary' ? last.counts : undefined;
}

/** Resolves when the log can be read to its end: on PostgreSQL a transaction of anybody on the server holds back what was committed. */
async function untilReadable({ store, projectId }: World): Promise<void> {
  if (store.kind === 'sqlite') return;
  const { newest } = await store.db
    .selectFrom('decisions')
    .select((select) => select.fn.max('tx').as('newest'))
    .where('project_id', '=', projectId)
    .executeTakeFirstOrThrow();
  while ((await store.log.head()).tx <= (newest ?? -1n)) {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** The whole log of a world, oldest first. */
export async function decisionsOf(world: World, limit = 1_000): Promise<Decision[]> {
  await untilReadable(world);
  const { store, projectId } = world;
  const { fromRow } = await import('../../src/decisions/decision-row.ts');
  return (await store.log.scan(projectId, { limit })).map((row) => fromRow(row).decision);
}

function governed(projectId: ProjectId, call: WorldCall): GovernedCall {
  const { who = 'one', upstream: slug = 'bank', method = 'tools/call', tool, face = 'mcp' } = call;
  return {
    requestId: 'request',
    face,
    principal: {
      ...principals[who],
      id: who as PrincipalId,
      projectId,
      name: who,
      scopes: new Set(['tools:call']),
      grants: 'all',
      ...(call.withKey === true && { apiKeyId: 'key' as ApiKeyId }),
    },
    slug,
    method,
    upstream: upstreams.get(slug) ?? { slug },
    era: 'legacy',
    tool,
    arguments: call.arguments,
    session: call.session,
    requestBytes: 100,
  };
}

function findPrincipal(projectId: ProjectId, id: string, kind: 'agent' | 'user') {
  const found = principals[id as Who];
  return found?.kind === kind ? { ...found, id, projectId } : undefined;
}

function approver(projectId: ProjectId, name: string): Principal {
  return {
    kind: 'user',
    id: name as PrincipalId,
    projectId,
    name,
    scopes: new Set(['approvals:decide']),
    grants: 'all',
    teams: [],
  };
}
