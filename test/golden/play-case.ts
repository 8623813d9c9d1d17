import { vi } from 'vitest';
import type { Decision } from '../../src/domain/decision.ts';
import { type ApprovalId, newId } from '../../src/domain/ids.ts';
import type { StateRead, StateValue } from '../../src/domain/policy-state.ts';
import { type DecideDeps, decideCall } from '../../src/pipeline/decide-call.ts';
import { decide, type Verdict } from '../../src/policy/decide.ts';
import { createPolicySet, type PolicySet } from '../../src/policy/policy-set.ts';
import type { GoldenCall, GoldenCase } from './read-case.ts';
import { createStateMemory, type StateMemory } from './state-memory.ts';

/** What a case led to. */
export interface Played {
  readonly verdict: Verdict;
  readonly state: StateMemory;
  /** What was recorded of the call by the same path that the gateway takes. */
  record(): Promise<Record<string, unknown>>;
}

/**
 * Plays what happened before, then decides the call of the case.
 *
 * @throws Error when an earlier call did not have the effect that the case says it had
 */
export function playCase(golden: GoldenCase): Played {
  const set = createPolicySet(golden.policies);
  const state = createStateMemory();
  for (const earlier of golden.earlier) {
    if (earlier.kind === 'call') playCall(golden, set, state, earlier);
    else state.write([rawWrite(golden, earlier)]);
  }
  const matched = set.match(golden.call);
  const verdict = decide({
    call: golden.call,
    matched,
    defaultEffect: golden.project.defaultEffect,
    states: state.read(matched.reads, golden.now),
    now: golden.now,
    redactedKeys: golden.project.redactedKeys,
    ...(golden.approved !== undefined && { approved: golden.approved }),
  });
  const before = state.read(matched.reads, golden.now);
  state.write(verdict.writes);
  return { verdict, state, record: () => recordOf(golden, set, before) };
}

function playCall(
  golden: GoldenCase,
  set: PolicySet,
  state: StateMemory,
  { call, at, effect }: { call: GoldenCall; at: number; effect: string },
): void {
  const matched = set.match(call);
  const { defaultEffect, redactedKeys } = golden.project;
  const states = state.read(matched.reads, at);
  const verdict = decide({ call, matched, defaultEffect, states, now: at, redactedKeys });
  if (verdict.effect !== effect) {
    throw new Error(`the earlier call of '${call.tool}' was to ${effect}, but: ${verdict.effect}, ${verdict.message}`);
  }
  state.write(verdict.writes);
}

function rawWrite(golden: GoldenCase, { key, value, at }: { key: string; value: number; at: number }) {
  const { projectId } = golden.call.principal;
  return { key, projectId, value, time: at, keepsTime: true, expireTime: Number.MAX_SAFE_INTEGER };
}

/** What all cases have in common. */
const sameEverywhere = new Set([
  'id',
  'projectId',
  'createTime',
  'requestId',
  'face',
  'era',
  'requestBytes',
  'principalKind',
  'principalId',
]);

async function recordOf(
  golden: GoldenCase,
  set: PolicySet,
  states: readonly (StateValue | undefined)[],
): Promise<Record<string, unknown>> {
  const { call, now } = golden;
  vi.useFakeTimers({ toFake: ['Date'], now });
  try {
    const governed = {
      ...call,
      requestId: 'request',
      face: 'mcp' as const,
      slug: call.upstream.slug,
      era: 'modern' as const,
      requestBytes: 100,
    };
    const { decision } = await decideCall(depsOf(golden, set, states), governed);
    if (decision.createTime !== now) throw new Error('the decision has another time than the call');
    return inSnakeCase(
      Object.fromEntries(Object.entries(decision).filter(([name]) => !sameEverywhere.has(name))),
    ) as Record<string, unknown>;
  } finally {
    vi.useRealTimers();
  }
}

/** The gateway's parts, as far as deciding asks them; the casts leave out the rest. */
function depsOf(golden: GoldenCase, set: PolicySet, states: readonly (StateValue | undefined)[]): DecideDeps {
  const { approved } = golden;
  const deps = {
    config: { getProject: () => golden.project, ageMs: () => 0 },
    maxConfigAgeMs: 1,
    policies: { of: () => set },
    log: {
      append: () => Promise.resolve(),
      decide: (_reads: readonly StateRead[], step: (states: readonly (StateValue | undefined)[]) => unknown) =>
        Promise.resolve(step(states)),
    },
    approvals: {
      find: () =>
        Promise.resolve({
          approved: approved === undefined ? [] : [{ id: 'approval-1' as ApprovalId, requirements: approved }],
          pending: [],
          exhausted: false,
        }),
      take: (approval: unknown) => Promise.resolve(approval),
      release: () => Promise.resolve(),
      create: (wanted: object) => Promise.resolve({ ...wanted, id: newId<ApprovalId>() }),
    },
  };
  return deps as unknown as DecideDeps;
}

function inSnakeCase(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(inSnakeCase);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, field]) => [
      name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
      isNewApproval(name as keyof Decision, field) ? 'new' : inSnakeCase(field),
    ]),
  );
}

function isNewApproval(name: keyof Decision, value: unknown): boolean {
  return name === 'approvalId' && value !== 'approval-1';
}
