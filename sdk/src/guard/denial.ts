import type { DecisionReason } from '../../../gen/portcullis/v1/decision_pb.ts';

/**
 * Why a call was denied. `denied`: the gateway decided DENY. `approval_required`: a human must agree first, or did not. `refused`: the
 * gateway answered, but would not decide, such as for a wrong ApiKey, an unknown agent or a rate limit. `unreachable`: no whole answer came
 * in time. `invalid_arguments`: the arguments can't be sent as they are. `canceled`: the caller went away. `failed`: the guard itself,
 * such as a function in its options, threw.
 */
export type DenialKind =
  | 'denied'
  | 'approval_required'
  | 'refused'
  | 'unreachable'
  | 'invalid_arguments'
  | 'canceled'
  | 'failed';

/** One call that was denied. */
export interface Denial {
  readonly kind: DenialKind;
  readonly toolName: string;
  /** Written for people, and shown to whoever calls the tool. */
  readonly reason: string;
  /** The Decision in the gateway's log, as GetDecision takes it; undefined when none came back. */
  readonly decisionId?: string | undefined;
  /** What led to the Decision. */
  readonly decisionReason?: DecisionReason | undefined;
  /** The rules that decided, as `policy slug/rule id`. */
  readonly ruleIds?: readonly string[] | undefined;
  /** The approval that the call waits for. */
  readonly approvalId?: string | undefined;
  readonly approvalExpireTime?: Date | undefined;
  /** The error behind it. It may name hosts and settings: for logs, not for whoever calls the tool. */
  readonly cause?: unknown;
}

/** What the handler of a guarded tool returns when the call was denied: a tool result of MCP. */
export type DeniedResult = { isError: true; content: { type: 'text'; text: string }[] };

/** Thrown in place of the handler by a tool of a server with guardMiddleware; `denial` says why. */
export class AuthorizationDeniedError extends Error {
  override readonly name = 'AuthorizationDeniedError';
  readonly denial: Denial;

  constructor(denial: Denial) {
    super(textOf(denial), denial.cause === undefined ? undefined : { cause: denial.cause });
    this.denial = denial;
  }
}

/** The tool result that tells the denial to whoever calls the tool. */
export function toDeniedResult(denial: Denial): DeniedResult {
  return { isError: true, content: [{ type: 'text', text: textOf(denial) }] };
}

function textOf({ reason }: Denial): string {
  return `Authorization denied: ${reason}`;
}
