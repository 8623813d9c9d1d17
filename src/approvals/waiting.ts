import type { Unsubscribe } from '../db/bell.ts';
import type { Approval } from '../domain/approval.ts';
import { GatewayError } from '../domain/errors.ts';
import type { ApprovalId } from '../domain/ids.ts';

export interface WaitingDeps {
  /** The approval as it reads now. */
  readonly find: (id: ApprovalId) => Promise<Approval | undefined>;
  /** Those of the approvals with these ids (at most 500) that are not pending any more. */
  readonly findSettled: (ids: readonly ApprovalId[]) => Promise<readonly Approval[]>;
  /** Hears the ids of approvals that changed; none = any may have. */
  readonly onChange: (listener: (ids: readonly string[]) => void) => Unsubscribe;
  /** Unix milliseconds. */
  readonly now: () => number;
  /** How often the approvals that are waited for are read even when no doorbell rang. */
  readonly pollMs?: number;
  /** Who comes when this many wait gets the approval as it is. */
  readonly maxWaiters?: number;
  /** The same for the calls of one principal. */
  readonly maxWaitersOfPrincipal?: number;
}

/** Lets calls wait for answers. */
export interface Waiting {
  /**
   * Resolves when the approval is not pending any more, or as it is at `until` (Unix milliseconds), when too many wait already, or
   * after `close`. Rejects with the reason of the signal; throws `not_found`.
   */
  wait(id: ApprovalId, until: number, signal: AbortSignal): Promise<Approval>;
  /** Sends everybody off with the approval as it is. */
  close(): void;
}

/** Ends one wait; without an approval, because there is no more time. */
type Settle = (approval?: Approval) => void;

/** The longest time that a timer can take. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** Makes the waiting room; all who wait share its reads, however many they are. */
export function createWaiting(deps: WaitingDeps): Waiting {
  const { pollMs = 1_000, maxWaiters = 4_000, maxWaitersOfPrincipal = 500 } = deps;
  const waiters = createWaiters();
  const look = createLook(deps, waiters);
  const lookAtAll = () => look([...waiters.ids()]);
  const unsubscribe = deps.onChange((ids) => void (ids.length === 0 ? lookAtAll() : look(ids)));
  const stopPolling = poll(lookAtAll, pollMs);
  const ofPrincipal = createTally();
  let isClosed = false;

  const wait = async (id: ApprovalId, until: number, signal: AbortSignal): Promise<Approval> => {
    signal.throwIfAborted();
    const isFull = waiters.count() >= maxWaiters;
    const settled = Promise.withResolvers<Approval | undefined>();
    settled.promise.catch(() => {});
    // Before the approval is read, so that no answer falls between the two.
    const remove = waiters.add(id, settled.resolve);
    const abort = () => settled.reject(signal.reason);
    signal.addEventListener('abort', abort);
    // A timer, not the clock: a clock that jumps makes nobody wait longer.
    const end = setTimeout(settled.resolve, Math.min(Math.max(0, until - deps.now()), MAX_TIMER_MS));
    try {
      const approval = await deps.find(id);
      if (approval === undefined) throw new GatewayError('not_found', `There is no approval ${id}.`);
      if (approval.state !== 'pending' || isClosed || isFull) return approval;
      if (ofPrincipal.count(approval.principalId) >= maxWaitersOfPrincipal) return approval;
      const leave = ofPrincipal.enter(approval.principalId);
      const answer = await settled.promise.finally(leave);
      return answer ?? (await deps.find(id).catch(() => undefined)) ?? approval;
    } finally {
      remove();
      clearTimeout(end);
      signal.removeEventListener('abort', abort);
    }
  };

  const close = (): void => {
    isClosed = true;
    unsubscribe();
    stopPolling();
    for (const id of waiters.ids()) waiters.settle(id);
  };

  return { wait, close };
}

/** Counts by name. */
function createTally() {
  const counts = new Map<string, number>();
  return {
    count: (name: string) => counts.get(name) ?? 0,
    enter(name: string): () => void {
      counts.set(name, (counts.get(name) ?? 0) + 1);
      return () => {
        const left = (counts.get(name) ?? 1) - 1;
        if (left === 0) counts.delete(name);
        else counts.set(name, left);
      };
    },
  };
}

type Waiters = ReturnType<typeof createWaiters>;

function createWaiters() {
  const byId = new Map<string, Set<Settle>>();
  let count = 0;
  return {
    count: () => count,
    ids: () => byId.keys(),
    has: (id: string) => byId.has(id),
    settle: (id: string, approval?: Approval) => {
      for (const settle of byId.get(id) ?? []) settle(approval);
    },
    add(id: string, settle: Settle): () => void {
      const others = byId.get(id) ?? new Set();
      byId.set(id, others.add(settle));
      count += 1;
      return () => {
        count -= 1;
        others.delete(settle);
        if (others.size === 0) byId.delete(id);
      };
    },
  };
}

const READ_CHUNK = 500;

/** Makes what ends the waits for those of some approvals that are settled; what can't be read now is read at the next tick. */
function createLook({ findSettled }: WaitingDeps, waiters: Waiters): (ids: readonly string[]) => Promise<void> {
  return async (ids) => {
    // The cast: whoever waits for it named it so.
    const awaited = ids.filter((id): id is ApprovalId => waiters.has(id));
    for (let at = 0; at < awaited.length; at += READ_CHUNK) {
      const settled = await findSettled(awaited.slice(at, at + READ_CHUNK)).catch(() => []);
      for (const approval of settled) waiters.settle(approval.id, approval);
    }
  };
}

/** Runs a task at intervals, but never two at a time, until the returned function is called. */
function poll(task: () => Promise<void>, everyMs: number): Unsubscribe {
  let isRunning = false;
  const timer = setInterval(() => {
    if (isRunning) return;
    isRunning = true;
    void task().finally(() => {
      isRunning = false;
    });
  }, everyMs).unref();
  return () => clearInterval(timer);
}
