import type { ApiKeyId, ApprovalId, CallId, GatewayId, PolicyId, PrincipalId, ProjectId, UpstreamId } from './ids.ts';
import type { Era } from './upstream.ts';

/** What is decided about a call. */
export type Effect = 'allow' | 'deny' | 'require_approval';

/** What led to the Decision. */
export type DecisionReason =
  | 'rule'
  | 'project_default'
  | 'not_governed'
  | 'scope'
  | 'upstream_not_found'
  | 'upstream_disabled'
  | 'grant'
  | 'tool_filter'
  | 'era_mismatch'
  | 'approval'
  | 'agent_inactive'
  | 'approvals_exhausted'
  /** The gateway offers nothing under this name. */
  | 'not_offered';

/** A policy in one version. */
export interface PolicyVersionRef {
  readonly id: PolicyId;
  readonly slug: string;
  readonly version: number;
}

/** One check that a call failed. */
export interface ConstraintFailure {
  /** `policy slug/rule id`. */
  readonly ruleId: string;
  /** Where in the arguments, with the index of the item; or the name of the limit; empty = the call as a whole. */
  readonly path: string;
  /** What was checked, such as `maximum`, `regex`, `type` or `max_calls`. */
  readonly check: string;
  readonly expected: string;
  /** At most 200 characters; masked where the name is a sensitive one. */
  readonly actual: string;
}

/** What one policy in SHADOW mode would have said. */
export interface ShadowResult {
  readonly policy: PolicyVersionRef;
  readonly effect: Effect;
  readonly ruleIds: readonly string[];
  readonly message: string;
  readonly failures: readonly ConstraintFailure[];
}

/** ALLOW, DENY or REQUIRE_APPROVAL for one call, with all that is needed to explain it. Never changed once written. */
export interface Decision {
  readonly id: CallId;
  readonly projectId: ProjectId;
  /** Unix milliseconds. */
  readonly createTime: number;
  readonly requestId: string;
  readonly face: 'mcp' | 'api';
  readonly era: Era;
  readonly principalKind: 'user' | 'agent';
  readonly principalId: PrincipalId;
  readonly principalName: string;
  readonly apiKeyId?: ApiKeyId;
  readonly keyPrefix?: string;
  /** Absent when the slug named no upstream. */
  readonly upstreamId?: UpstreamId;
  /** Slug of the upstream; for what was refused before one was found, the text that the caller wrote. */
  readonly upstreamSlug: string;
  /** Absent when the slug named no upstream. */
  readonly upstreamVersion?: string;
  /** The gateway through which the call came, and its address; absent = none. */
  readonly gatewayId?: GatewayId;
  readonly gatewaySlug?: string;
  /** JSON-RPC method, or the HTTP method when the call was refused before its body was read. */
  readonly method: string;
  /** Name of the tool or prompt, or URI of the resource, as the upstream knows it. */
  readonly tool?: string;
  readonly effect: Effect;
  readonly reason: DecisionReason;
  /** The rules that decided, as `policy slug/rule id`; empty unless `reason` is `rule` or `approval`. */
  readonly ruleIds: readonly string[];
  /** Their policies; absent = none. */
  readonly policies?: readonly PolicyVersionRef[];
  /** What failed; absent = nothing. */
  readonly failures?: readonly ConstraintFailure[];
  /** What policies in SHADOW mode would have said; absent = nothing. */
  readonly shadow?: readonly ShadowResult[];
  /** The approval the call waits for or, with the reason `approval`, used. */
  readonly approvalId?: ApprovalId;
  /** Identifies the session for rules that count by session; absent when the caller has none. */
  readonly session?: string;
  /** What the caller is told. */
  readonly message: string;
  /** `sha256:` and 64 hex digits over the canonical form of the original arguments; absent when the call has none. */
  readonly argumentsDigest?: string;
  /** JSON text of the arguments as the project lets them be recorded. */
  readonly argumentsJson?: string;
  /** True when `argumentsJson` was cut or masked. */
  readonly argumentsRedacted?: boolean;
  readonly requestBytes: number;
}

/** How a forwarded call ended. */
export type OutcomeStatus =
  | 'ok'
  /** The tool answered with `isError: true`. */
  | 'tool_error'
  /** The upstream answered with a JSON-RPC error. */
  | 'rpc_error'
  /** The upstream asks the client for input (revision 2026-07-28). */
  | 'input_required'
  /** Unreachable, broken stream, or no valid answer. */
  | 'upstream_error'
  | 'timeout'
  /** The client went away first. */
  | 'canceled';

/** What became of an allowed call; written after the answer, so it may be missing after a crash (reads as UNKNOWN). */
export interface Outcome {
  readonly decisionId: CallId;
  readonly endTime: number;
  readonly status: OutcomeStatus;
  readonly latencyMicros: number;
  readonly responseBytes: number;
}

/** A decision as the log returns it: in commit order, with the position after it. */
export interface LoggedDecision {
  readonly decision: Decision;
  readonly outcome?: Outcome;
  readonly position: LogPosition;
}

/** A place in the decision log's commit order. On SQLite `tx` is always 0. Both are decimal 64-bit integers. */
export interface LogPosition {
  readonly tx: bigint;
  readonly seq: bigint;
}
