import { durationFromMs } from '@bufbuild/protobuf/wkt';
import { Code } from '@connectrpc/connect';
import { Effect } from '../../../gen/portcullis/v1/policy_rule_pb.ts';
import type { AuthorizeResponse } from '../../../gen/portcullis/v1/tool_service_pb.ts';
import type { PortcullisClient } from '../client.ts';
import { isPortcullisError, PortcullisError } from '../errors.ts';
import type { Question } from './question.ts';

/** What came of one question: the gateway's answer, its refusal to give one, or none. */
export type Answer =
  | {
      readonly kind: 'answered';
      readonly response: AuthorizeResponse;
      /** True when the approval that was waited for is not pending any more. */
      readonly isSettled?: true;
    }
  | { readonly kind: 'refused' | 'unreachable' | 'canceled'; readonly error: unknown };

export interface AskOptions {
  /** Longest time for the answer, in milliseconds, beside the time that the gateway waits for a human. */
  readonly timeoutMs: number;
  /** How long the gateway shall wait for a human, in milliseconds; at most 60,000, 0 = not at all. */
  readonly approvalWaitMs: number;
  /** The caller's. */
  readonly signal: AbortSignal | undefined;
}

/** Asks the gateway once. Never throws, and takes no longer than it may, whatever the transport does. */
export async function ask(
  { tools }: Pick<PortcullisClient, 'tools'>,
  question: Question,
  { timeoutMs, approvalWaitMs, signal }: AskOptions,
): Promise<Answer> {
  const wait = approvalWaitMs === 0 ? {} : { approvalWait: durationFromMs(approvalWaitMs) };
  const limitMs = timeoutMs + approvalWaitMs;
  try {
    const response = await withLimit(limitMs, signal, (limited) =>
      tools.authorize({ ...question, ...wait }, { signal: limited, timeoutMs: limitMs }),
    );
    return isWhole(response) ? { kind: 'answered', response } : { kind: 'unreachable', error: notWhole() };
  } catch (error) {
    const kind = signal?.aborted === true ? 'canceled' : isUnreachable(error) ? 'unreachable' : 'refused';
    return { kind, error };
  }
}

/** A committed decision has an id: an ALLOW without one was cut on its way, or is not the gateway's. */
function isWhole({ outcome, decisionId }: AuthorizeResponse): boolean {
  return outcome !== Effect.ALLOW || decisionId !== '';
}

function notWhole(): PortcullisError {
  return new PortcullisError('connection_failed', 'The answer names no decision.', { code: Code.DataLoss });
}

/**
 * True when no answer came that the gateway would give. Everything else is a refusal, also what is no error of a call at all, such as what a
 * source of credentials throws: whoever fails open shall not do so because of what the caller sent, or of a wrong setting.
 */
function isUnreachable(error: unknown): boolean {
  if (!isPortcullisError(error)) {
    return false;
  }
  switch (error.code) {
    case Code.Canceled:
    case Code.Unknown:
    case Code.DeadlineExceeded:
    case Code.Internal:
    case Code.Unavailable:
    case Code.DataLoss:
      return true;
    default:
      return false;
  }
}

/** Does the work, and rejects when it is not done in time or the caller goes away, even if the work heeds no signal. */
async function withLimit<Result>(
  limitMs: number,
  caller: AbortSignal | undefined,
  work: (signal: AbortSignal) => Promise<Result>,
): Promise<Result> {
  const limit = new AbortController();
  const stopped = new Promise<never>((_, reject) => {
    limit.signal.addEventListener('abort', () => reject(limit.signal.reason as Error));
  });
  // Nobody listens yet when the caller has gone before.
  stopped.catch(() => {});
  const onAbort = () => limit.abort(new PortcullisError('canceled', 'The call was aborted.', { code: Code.Canceled }));
  const timer = setTimeout(() => limit.abort(tooLate(limitMs)), limitMs);
  caller?.addEventListener('abort', onAbort);
  if (caller?.aborted === true) {
    onAbort();
  }
  try {
    return await Promise.race([stopped, work(limit.signal)]);
  } finally {
    clearTimeout(timer);
    caller?.removeEventListener('abort', onAbort);
  }
}

function tooLate(limitMs: number): PortcullisError {
  const message = `No answer came from the gateway within ${limitMs} ms.`;
  return new PortcullisError('connection_failed', message, { code: Code.DeadlineExceeded });
}
