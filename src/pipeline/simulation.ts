import { type ReadableLog, readDecisions } from '../decisions/read-decisions.ts';
import type { Decision, Effect } from '../domain/decision.ts';
import type { ProjectId } from '../domain/ids.ts';
import type { Policy } from '../domain/policy.ts';
import type { Verdict } from '../policy/decide.ts';
import type { SimulationConfig } from './simulation-call.ts';
import { longestMemory, reachOf } from './simulation-memory.ts';
import { createReplay, type Replayed } from './simulation-replay.ts';
import { createSimulationState, createStateBudget, type StateBudget } from './simulation-state.ts';
import { createPaces } from './simulation-turns.ts';

/** What is decided again, and how it turned out. */
export interface SimulationCounts {
  readonly decided: number;
  readonly unchanged: number;
  readonly changed: number;
  /** Not known, because arguments that matter were not recorded. */
  readonly unknown: number;
  readonly allow: number;
  readonly deny: number;
  readonly requireApproval: number;
  /** Not decided by policies then, so not decided again. */
  readonly skipped: number;
}

export interface SimulationRequest {
  readonly projectId: ProjectId;
  /** All policies of the project, as they would be. */
  readonly policies: readonly Policy[];
  /** Unix milliseconds, included. */
  readonly startTime?: number;
  /** Unix milliseconds, not included. */
  readonly endTime?: number;
  /** Which decisions are reported; the others count for rules with state all the same. */
  readonly matches: (decision: Decision) => boolean;
  readonly signal: AbortSignal;
}

export type SimulationEvent =
  | { readonly kind: 'change'; readonly decision: Decision; readonly verdict: Verdict; readonly from: Effect }
  | { readonly kind: 'progress' | 'summary'; readonly counts: SimulationCounts };

export interface SimulationDeps {
  readonly log: ReadableLog;
  readonly config: SimulationConfig;
  /** Shared by all simulations; by default some hundred megabytes. */
  readonly stateBudget?: StateBudget;
}

type Count = { -readonly [Name in keyof SimulationCounts]: number };

/** How often progress is told, in milliseconds. */
const PROGRESS_MS = 1_000;

/**
 * Decides recorded calls again with other policies, at the time each was made. Ends early, without a summary, when the signal aborts.
 *
 * What rules remember at `startTime` comes from the calls before it. From as long before as any rule remembers, those count that the
 * given policies would have let through; before that, those that were allowed then. So the policies that were in force begin with the
 * very state they had, and others with what they would have led to.
 *
 * @throws GatewayError `failed_precondition` when the rules keep too much state
 */
export function createSimulation({ log, config, stateBudget = createStateBudget() }: SimulationDeps) {
  const paces = createPaces();
  return async function* simulate(request: SimulationRequest): AsyncGenerator<SimulationEvent> {
    const { projectId, policies, startTime = Number.NEGATIVE_INFINITY, endTime, matches, signal } = request;
    const state = createSimulationState(stateBudget);
    const replay = createReplay(config, projectId, policies, state);
    const memory = longestMemory(policies);
    const readFrom = request.startTime === undefined ? undefined : startTime - memory - reachOf(policies);
    const counts: Count = { ...none };
    let toldAt = performance.now();
    try {
      for await (const decision of readDecisions(log, { projectId, startTime: readFrom, endTime, signal }, paces())) {
        if (decision.createTime < startTime - memory) {
          replay.count(decision);
        } else {
          const replayed = replay.decideAgain(decision);
          if (decision.createTime >= startTime && matches(decision)) {
            count(counts, replayed);
            if (isChange(replayed)) {
              yield { kind: 'change', decision, verdict: replayed.verdict, from: replayed.from };
            }
          }
        }
        if (performance.now() - toldAt >= PROGRESS_MS) {
          toldAt = performance.now();
          yield { kind: 'progress', counts: { ...counts } };
        }
      }
    } finally {
      state.clear();
    }
    if (!signal.aborted) {
      yield { kind: 'summary', counts };
    }
  };
}

const none: SimulationCounts = {
  decided: 0,
  unchanged: 0,
  changed: 0,
  unknown: 0,
  allow: 0,
  deny: 0,
  requireApproval: 0,
  skipped: 0,
};

function isChange(replayed: Replayed): replayed is Extract<Replayed, { kind: 'decided' }> {
  return replayed.kind === 'decided' && replayed.verdict.effect !== replayed.from;
}

function count(counts: Count, replayed: Replayed): void {
  if (replayed.kind === 'skipped') {
    counts.skipped++;
    return;
  }
  counts.decided++;
  if (replayed.kind !== 'decided') {
    counts.unknown++;
    return;
  }
  const { effect } = replayed.verdict;
  counts[effect === replayed.from ? 'unchanged' : 'changed']++;
  counts[effect === 'require_approval' ? 'requireApproval' : effect]++;
}
