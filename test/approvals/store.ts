import { onTestFinished } from 'vitest';
import type { NewApproval } from '../../src/approvals/approvals.ts';
import { createApprovals } from '../../src/approvals/create-approvals.ts';
import { insertProject } from '../../src/db/projects.ts';
import type { DatabaseLocation, Store } from '../../src/db/store.ts';
import type { ApprovalKey } from '../../src/domain/approval.ts';
import { type ApprovalId, type CallId, newId } from '../../src/domain/ids.ts';
import type { Project } from '../../src/domain/project.ts';
import { openUntilTestEnds } from '../store/databases.ts';
import { HOUR, key, NOW, PROJECT, requirement } from './samples.ts';

/** The project of the sample approvals. */
export function project(change: Partial<Project> = {}): Project {
  return {
    id: PROJECT,
    slug: 'default',
    displayName: '',
    recordedArguments: 'redacted',
    redactedKeys: [],
    defaultEffect: 'deny',
    revision: 1,
    createTime: NOW,
    updateTime: NOW,
    ...change,
  };
}

/** A clock that the test sets, in Unix milliseconds. */
export interface Clock {
  time: number;
}

/** A replica: a store of its own over the database, with approvals that hear every change by their bell and by polling. */
export async function openReplica(location: DatabaseLocation, clock: Clock = { time: NOW }) {
  const store = await openUntilTestEnds(location, () => {});
  return { store, clock, ...joinReplica(store, clock) };
}

/** Approvals on a store that is open, as another part of the same process would use them. */
export function joinReplica(store: Store, clock: Clock) {
  const listeners = new Set<(ids: readonly string[]) => void>();
  const approvals = createApprovals({
    store,
    onChange(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    now: () => clock.time,
  });
  onTestFinished(() => approvals.close());
  return { approvals, ring: (...ids: string[]) => listeners.forEach((listener) => listener(ids)) };
}

export type Replica = Awaited<ReturnType<typeof openReplica>>;

/** A replica on a database with the project in it. */
export async function openFirstReplica(location: DatabaseLocation, change: Partial<Project> = {}): Promise<Replica> {
  const replica = await openReplica(location);
  await insertProject(replica.store.db, project(change));
  return replica;
}

/** What the pipeline asks for after a call was decided REQUIRE_APPROVAL. */
export function newApproval(change: Partial<NewApproval> = {}): NewApproval {
  return {
    ...key,
    id: newId<ApprovalId>(),
    callId: newId<CallId>(),
    requester: { kind: 'agent', name: 'robot' },
    arguments: { amount: 5, token: 'hidden' },
    message: 'A human must approve this call.',
    ruleIds: ['payments/large'],
    requirements: [requirement()],
    expireAfterMs: HOUR,
    ...change,
  };
}

/** The same call with other arguments. */
export function otherCall(n: number): Pick<ApprovalKey, 'argumentsDigest'> {
  return { argumentsDigest: `sha256:${n.toString(16).padStart(64, '0')}` };
}
