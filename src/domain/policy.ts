import type { Effect } from './decision.ts';
import type { PolicyId, ProjectId } from './ids.ts';

/** Whether a policy acts: its rules decide; they are only evaluated and recorded; or it is left out. */
export type EnforcementMode = 'enforce' | 'shadow' | 'off';

/** What a broken limit or a failed check results in. */
export type Refusal = 'deny' | 'require_approval';

/** Matches calls by upstream slug and tool name; each an exact text, `prefix*`, or `*`. */
export interface CallPattern {
  readonly upstreamPattern: string;
  readonly toolPattern: string;
}

/** Whose calls a policy decides: principals on any of the lists; all lists empty = everybody's. */
export interface PolicySubjects {
  readonly agentIds: readonly string[];
  readonly userIds: readonly string[];
  readonly apiKeyIds: readonly string[];
  readonly teams: readonly string[];
}

/** How a caller whose call needs approval is answered. */
export type ApprovalBehavior = 'error' | 'hold' | 'elicit';

/** Who is asked about calls that a policy wants approved, and how the caller waits. */
export interface ApprovalSettings {
  readonly behavior: ApprovalBehavior;
  readonly expireAfterMs: number;
  readonly holdTimeoutMs: number;
  readonly requiredApprovals: number;
  /** Empty = everybody with the scope `approvals:decide`. */
  readonly approverIds: readonly string[];
  readonly allowSelfApproval: boolean;
}

/** What an approval has where no policy says otherwise. */
export const defaultApprovalSettings: ApprovalSettings = {
  behavior: 'error',
  expireAfterMs: 3_600_000,
  holdTimeoutMs: 50_000,
  requiredApprovals: 1,
  approverIds: [],
  allowSelfApproval: false,
};

export interface NumberConstraint {
  readonly kind: 'number';
  readonly minimum?: number;
  readonly maximum?: number;
  readonly greaterThan?: number;
  readonly lessThan?: number;
  readonly greaterThanOrEqual?: number;
  readonly lessThanOrEqual?: number;
}

export interface StringConstraint {
  readonly kind: 'string';
  /** RE2. */
  readonly regex?: string;
  /** RE2. */
  readonly notRegex?: string;
  /** Empty = any. */
  readonly in: readonly string[];
  readonly notIn: readonly string[];
  /** Unicode code points. */
  readonly minLength?: number;
  /** Unicode code points. */
  readonly maxLength?: number;
}

export interface ArrayConstraint {
  readonly kind: 'array';
  readonly minItems?: number;
  readonly maxItems?: number;
}

export interface BooleanConstraint {
  readonly kind: 'boolean';
  readonly mustBe?: boolean;
}

/** A typed check on one argument. */
export interface ArgumentConstraint {
  /** Such as `customer.address.country` or `items[*].sku`. */
  readonly path: string;
  readonly effect: Refusal;
  readonly required: boolean;
  readonly notNull: boolean;
  readonly type?: NumberConstraint | StringConstraint | ArrayConstraint | BooleanConstraint;
}

/** 1 = Monday … 7 = Sunday (ISO 8601). */
export type Weekday = 1 | 2 | 3 | 4 | 5 | 6 | 7;

export interface TimeWindow {
  /** The days on which the window begins; empty = every day. */
  readonly days: readonly Weekday[];
  /** Minutes after midnight, 0 to 1439. */
  readonly startMinute: number;
  /** Minutes after midnight, 1 to 1440; not after `startMinute` = it ends on the next day. */
  readonly endMinute: number;
}

/** What a RateRule counts together. */
export type RateScope = 'agent' | 'user' | 'session' | 'global';

export interface CumulativeLimit {
  readonly path: string;
  readonly maximum: number;
}

export interface SessionCounter {
  readonly name: string;
  readonly increment: readonly CallPattern[];
  readonly decrement: readonly CallPattern[];
  readonly maximum: number;
}

/** What a rule says; the contract (policy_rule.proto) explains each kind. */
export type RuleKind =
  | { readonly kind: 'effect'; readonly effect: Effect }
  | {
      readonly kind: 'tools';
      readonly allowedTools: readonly string[];
      readonly deniedTools: readonly string[];
      readonly violationEffect: Refusal;
    }
  | {
      readonly kind: 'arguments';
      readonly constraints: readonly ArgumentConstraint[];
      readonly evaluation: 'fail_fast' | 'collect_all';
    }
  | { readonly kind: 'condition'; readonly expression: string; readonly effect: Effect }
  | {
      readonly kind: 'time_window';
      readonly windows: readonly TimeWindow[];
      /** IANA name. */
      readonly timeZone: string;
      readonly violationEffect: Refusal;
    }
  | {
      readonly kind: 'rate';
      readonly maxCalls: number;
      readonly windowSeconds: number;
      readonly per: RateScope;
      readonly violationEffect: Refusal;
    }
  | {
      readonly kind: 'session';
      /** 0 = no limit. */
      readonly maxCalls: number;
      readonly cumulativeLimits: readonly CumulativeLimit[];
      readonly counters: readonly SessionCounter[];
      readonly violationEffect: Refusal;
    }
  | {
      readonly kind: 'sequence';
      readonly onlyAfter: readonly CallPattern[];
      /** Absent = however long ago. */
      readonly withinMs?: number;
      readonly neverAfter: readonly CallPattern[];
      readonly violationEffect: Refusal;
    };

/** One statement of a policy about the calls that its targets match. */
export interface PolicyRule {
  /** Unique within the policy. */
  readonly id: string;
  /** Told to the caller when the rule does not let the call through; empty = a general text. */
  readonly message: string;
  readonly says: RuleKind;
}

/** What a policy says in one version. */
export interface PolicyContent {
  readonly displayName: string;
  /** 0 to 1000; the higher is evaluated first. */
  readonly priority: number;
  readonly mode: EnforcementMode;
  readonly subjects: PolicySubjects;
  readonly targets: readonly CallPattern[];
  readonly rules: readonly PolicyRule[];
  readonly approval: ApprovalSettings;
}

/** A set of rules that decide calls. Immutable; a change makes a new object with a higher revision. */
export interface Policy {
  readonly id: PolicyId;
  readonly projectId: ProjectId;
  readonly slug: string;
  /** What is in force. */
  readonly content: PolicyContent;
  /** The version in force, from 1. */
  readonly version: number;
  /** Higher than `version` while a draft waits. */
  readonly latestVersion: number;
  /** Counts up with every change; the etag of the resource. */
  readonly revision: number;
  readonly createTime: number;
  readonly updateTime: number;
}
