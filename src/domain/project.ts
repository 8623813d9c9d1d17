import type { ProjectId } from './ids.ts';

/** What a PolicyRule or a project's default does to a call. */
export type Effect = 'allow' | 'deny' | 'require_approval';

/** How much of a call's arguments a Decision keeps: nothing, up to 4 KiB with sensitive keys masked, or everything. */
export type RecordedArguments = 'none' | 'redacted' | 'full';

/** One line of a project's ordered rule list; the first rule whose patterns match decides. */
export interface PolicyRule {
  readonly id: string;
  /** Slug of an upstream, `prefix*`, or `*`. */
  readonly upstreamPattern: string;
  /** Name of a tool (or prompt, or resource URI), `prefix*`, or `*`. */
  readonly toolPattern: string;
  readonly effect: Effect;
  /** Shown to the caller when the rule denies; empty = a general text. */
  readonly message: string;
}

/** The isolation boundary every resource belongs to. */
export interface Project {
  readonly id: ProjectId;
  readonly slug: string;
  readonly displayName: string;
  readonly recordedArguments: RecordedArguments;
  readonly policyRules: readonly PolicyRule[];
  /** What happens to a call that no rule matches. */
  readonly defaultEffect: Effect;
  /** Counts up with every change; the etag of the resource. */
  readonly revision: number;
  readonly createTime: number;
  readonly updateTime: number;
}
