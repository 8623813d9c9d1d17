import type { ApprovalFilter, ApprovalVisibility } from '../db/approvals.ts';
import type { Unsubscribe } from '../db/bell.ts';
import type { Store } from '../db/store.ts';
import type { Approval, ApprovalKey } from '../domain/approval.ts';
import type { ApprovalId, CallId, ProjectId } from '../domain/ids.ts';
import type { Principal } from '../domain/principal.ts';

/** What there is already for a call that may need approval, each oldest first. */
export interface PriorApprovals {
  /** Those that may be taken. */
  readonly approved: readonly Approval[];
  /** Those that wait for an answer. */
  readonly pending: readonly Approval[];
  /** True when the caller has as many pending approvals as it may have: `create` would fail. */
  readonly exhausted: boolean;
}

/** A call that needs approval. */
export interface NewApproval extends ApprovalKey {
  /** Given = a new approval with this id is made, also when the same is pending. */
  readonly id?: ApprovalId;
  readonly callId: CallId;
  readonly requester: Pick<Principal, 'kind' | 'name' | 'apiKeyId' | 'keyPrefix' | 'askedById'>;
  /** As they came; they are masked before they are stored. Absent = none. */
  readonly arguments?: unknown;
  readonly message: string;
  readonly ruleIds: readonly string[];
  readonly requirements: Approval['requirements'];
  readonly expireAfterMs: number;
}

/** One principal's answer. */
export interface Answer {
  readonly approve: boolean;
  /** Why; may be empty. */
  readonly comment: string;
}

/** An answer to one of several approvals. */
export interface Resolution extends Answer {
  readonly id: ApprovalId;
}

/** What a watcher gets: an approval as it is, or, in quiet times, just the place it is at. Places are versions of the configuration. */
export type ApprovalEvent =
  | { readonly kind: 'approval'; readonly approval: Approval; readonly position: number }
  | { readonly kind: 'checkpoint'; readonly position: number };

export interface ApprovalWatchRequest {
  readonly projectId: ProjectId;
  readonly filter: Omit<ApprovalFilter, 'visibility'>;
  /** Where to go on; 0 = with those that are there. */
  readonly position: number;
  /** What the watcher may see; asked before each page that is read, at least once a second. Throws when it may not watch any more. */
  readonly authorize: () => Promise<ApprovalVisibility | undefined>;
  readonly signal: AbortSignal;
}

export interface ApprovalsDeps {
  readonly store: Store;
  /**
   * Hears the ids of approvals that were created or changed, here or on another replica; none = any may have been. A missed call only
   * delays.
   */
  readonly onChange: (listener: (ids: readonly string[]) => void) => Unsubscribe;
  /** Unix milliseconds. */
  readonly now: () => number;
}

/** Everything that is done with approvals. All of it is safe on many replicas at once; driver errors pass through. */
export interface Approvals {
  /** The approvals for this call. */
  find(key: ApprovalKey): Promise<PriorApprovals>;
  /** Consumes an approved one for a call; undefined when it is not to be had any more, as another call took it. */
  take(approval: Approval, callId: CallId): Promise<Approval | undefined>;
  /** Gives back what was taken, if it is still that call's. */
  release(approval: Approval): Promise<void>;
  /**
   * Makes a pending approval, unless the same is pending for the same call already, which is then returned. Throws `failed_precondition`
   * when the caller has too many pending approvals.
   */
  create(input: NewApproval): Promise<Approval>;
  /**
   * Resolves when the approval is not pending any more, or as it is at `until` (Unix milliseconds), when too many wait already, or
   * when this process stops. Rejects with the signal's reason; throws `not_found`.
   */
  wait(id: ApprovalId, until: number, signal: AbortSignal): Promise<Approval>;
  /**
   * Records the answer; one that repeats what the caller said changes nothing. Throws `permission_denied` for who may not see it or not
   * answer, `failed_precondition` when it is not pending any more. Without `visibility` the caller sees all.
   */
  vote(
    projectId: ProjectId,
    id: ApprovalId,
    caller: Principal,
    answer: Answer,
    visibility?: ApprovalVisibility,
  ): Promise<Approval>;
  /** Records all answers or, when one can't be, none; the error's metadata `id` names the first that can't. */
  resolveAll(
    projectId: ProjectId,
    resolutions: readonly Resolution[],
    caller: Principal,
    visibility?: ApprovalVisibility,
  ): Promise<Approval[]>;
  /** The requester does without it: DENIED by itself, unless it was answered before. */
  cancel(id: ApprovalId, reason: string): Promise<void>;
  /** The approval as it reads now. */
  get(projectId: ProjectId, id: string): Promise<Approval | undefined>;
  /** Newest first; `beforeId` is the last id of the page before. */
  list(request: {
    readonly projectId: ProjectId;
    readonly filter: ApprovalFilter;
    readonly beforeId: string | undefined;
    readonly limit: number;
  }): Promise<Approval[]>;
  /** Those there are, then every change in commit order, of all replicas; ends with the signal. */
  watch(request: ApprovalWatchRequest): AsyncIterable<ApprovalEvent>;
  /** The place after everything that is committed. */
  head(): Promise<number>;
  /** Ends all waiting: those who wait get the approval as it is. */
  close(): void;
}
