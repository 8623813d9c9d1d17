import type { Approvals, NewApproval } from '../../src/approvals/approvals.ts';
import type { Approval, ApprovalKey, ApprovalState } from '../../src/domain/approval.ts';
import { GatewayError } from '../../src/domain/errors.ts';
import { type ApprovalId, newId, type PrincipalId } from '../../src/domain/ids.ts';

/** Approvals in memory, and what people do about them. */
export interface FakeApprovals
  extends Pick<Approvals, 'find' | 'take' | 'release' | 'create' | 'wait' | 'cancel' | 'get'> {
  /** All there are, oldest first. */
  all(): readonly Approval[];
  approve(id: string): void;
  deny(id: string, comment?: string): void;
  expire(id: string): void;
  /** How many wait now. */
  waiting(): number;
  /** Resolves with the approval that is asked for next, or was asked for since the last time. */
  next(): Promise<Approval>;
}

const KEY = ['projectId', 'principalId', 'upstreamSlug', 'method', 'tool', 'argumentsDigest'] as const;

/** The same rules as the real ones, without a store. */
export function createFakeApprovals(): FakeApprovals {
  const byId = new Map<string, Approval>();
  const listeners = new Set<() => void>();
  const created: Approval[] = [];
  let onCreate = () => {};
  const ofKey = (key: ApprovalKey, state: ApprovalState) =>
    [...byId.values()].filter((one) => one.state === state && KEY.every((name) => one[name] === key[name]));
  const put = (approval: Approval) => {
    byId.set(approval.id, approval);
    for (const listener of listeners) listener();
    return approval;
  };
  const change = (id: string, from: ApprovalState, changes: Partial<Approval>) => {
    const approval = byId.get(id);
    if (approval?.state === from) put({ ...approval, ...changes });
  };
  const voteOf = (approved: boolean, comment: string) => ({
    votes: [
      { kind: 'user' as const, principalId: 'bob' as PrincipalId, name: 'bob', approved, comment, createTime: 1 },
    ],
  });

  return {
    async find(key) {
      return { approved: ofKey(key, 'approved'), pending: ofKey(key, 'pending'), exhausted: false };
    },
    async take({ id }, callId) {
      const approved = byId.get(id);
      return approved?.state === 'approved'
        ? put({ ...approved, state: 'consumed', consumeCallId: callId })
        : undefined;
    },
    async release(approval) {
      change(approval.id, 'consumed', { state: 'approved' });
    },
    async create(input: NewApproval) {
      const { expireAfterMs, arguments: _arguments, ...rest } = input;
      const now = Date.now();
      const approval = put({
        id: newId<ApprovalId>(),
        ...rest,
        state: 'pending',
        argumentsRedacted: false,
        votes: [],
        expireTime: now + expireAfterMs,
        createTime: now,
        updateTime: now,
      });
      created.push(approval);
      onCreate();
      return approval;
    },
    async wait(id, until, signal) {
      signal.throwIfAborted();
      return new Promise<Approval>((resolve, reject) => {
        const settle = (finish: () => void) => {
          clearTimeout(timer);
          listeners.delete(look);
          signal.removeEventListener('abort', abort);
          finish();
        };
        const look = () => {
          const approval = byId.get(id);
          if (approval === undefined) throw new GatewayError('not_found', 'none');
          if (approval.state !== 'pending') settle(() => resolve(approval));
        };
        const abort = () => settle(() => reject(signal.reason as Error));
        const timer = setTimeout(() => settle(() => resolve(byId.get(id) as Approval)), until - Date.now());
        listeners.add(look);
        signal.addEventListener('abort', abort);
        look();
      });
    },
    async cancel(id, reason) {
      change(id, 'pending', { state: 'denied', ...voteOf(false, reason) });
    },
    get: async (_projectId, id) => byId.get(id),
    all: () => [...byId.values()],
    approve: (id) => change(id, 'pending', { state: 'approved', ...voteOf(true, '') }),
    deny: (id, comment = '') => change(id, 'pending', { state: 'denied', ...voteOf(false, comment) }),
    expire: (id) => change(id, 'pending', { state: 'expired' }),
    waiting: () => listeners.size,
    async next() {
      while (created.length === 0) {
        await new Promise<void>((resolve) => {
          onCreate = resolve;
        });
      }
      return created.shift() as Approval;
    },
  };
}
