import { Effect } from '../../../gen/portcullis/v1/policy_rule_pb.ts';
import type { AuthorizeResponse } from '../../../gen/portcullis/v1/tool_service_pb.ts';
import { createBackoff, waitUntil } from '../backoff.ts';
import type { PortcullisClient } from '../client.ts';
import { type Answer, ask } from './ask.ts';
import type { Question } from './question.ts';

export interface WaitOptions {
  /** Longest time for one answer, beside the time that the gateway waits, in milliseconds. */
  readonly timeoutMs: number;
  /** How long to wait for the human in all, in milliseconds. */
  readonly approvalTimeoutMs: number;
  readonly signal: AbortSignal | undefined;
}

/** The longest that the gateway waits before it answers. */
const LONGEST_WAIT_MS = 60_000;
/** How much less than asked for the gateway may seem to wait, because its clock and this one tick differently. */
const TICK_MS = 50;

/**
 * Waits until a human has answered the approval that `first` asks for, and gives the gateway's answer then; the last one when the time is
 * over. A gateway that is away meanwhile is asked again: it has said that the call needs approval, so it is never taken for unreachable.
 */
export async function waitForHuman(
  client: Pick<PortcullisClient, 'tools'>,
  question: Question,
  { timeoutMs, approvalTimeoutMs, signal }: WaitOptions,
  first: AuthorizeResponse,
): Promise<Answer> {
  const backoff = createBackoff({ firstDelayMs: 250, maxDelayMs: 5_000 });
  const endTime = performance.now() + approvalTimeoutMs;
  let last: Answer = { kind: 'answered', response: first };
  for (;;) {
    const startTime = performance.now();
    const leftMs = Math.floor(endTime - startTime);
    if (leftMs <= 0 || signal?.aborted === true) {
      return last;
    }
    const approvalWaitMs = Math.min(LONGEST_WAIT_MS, leftMs);
    const answer = await ask(client, question, { timeoutMs, approvalWaitMs, signal });
    if (answer.kind === 'unreachable') {
      await waitUntil(Math.min(backoff.next(), leftMs), signal);
      continue;
    }
    if (answer.kind !== 'answered' || answer.response.outcome !== Effect.REQUIRE_APPROVAL) {
      return answer;
    }
    // Another approval means that the first was denied, has expired or no longer fits the policies; an answer before its time, that nobody
    // needs to be waited for any more.
    const isOther = answer.response.approvalId !== first.approvalId;
    if (isOther || performance.now() - startTime < approvalWaitMs - TICK_MS) {
      return { ...answer, isSettled: true };
    }
    backoff.reset();
    last = answer;
  }
}
