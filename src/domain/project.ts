import type { Effect } from './decision.ts';
import type { ProjectId } from './ids.ts';

/** How much of a call's arguments a Decision keeps: nothing, up to 4 KiB with sensitive keys masked, or everything. */
export type RecordedArguments = 'none' | 'redacted' | 'full';

/** Where other systems are told of approvals. */
export interface ApprovalWebhook {
  readonly url: string;
  /** Sealed signing secret (compact JWE). */
  readonly sealedSecret: string;
}

/** The isolation boundary every resource belongs to. */
export interface Project {
  readonly id: ProjectId;
  readonly slug: string;
  readonly displayName: string;
  readonly recordedArguments: RecordedArguments;
  /** Names of arguments that are masked besides the built-in ones. */
  readonly redactedKeys: readonly string[];
  /** Absent = nobody is told. */
  readonly approvalWebhook?: ApprovalWebhook;
  /** What happens to a call about which no policy has a result. */
  readonly defaultEffect: Effect;
  /** Counts up with every change; the etag of the resource. */
  readonly revision: number;
  readonly createTime: number;
  readonly updateTime: number;
}
