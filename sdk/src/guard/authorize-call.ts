import { timestampDate } from '@bufbuild/protobuf/wkt';
import { DecisionReason } from '../../../gen/portcullis/v1/decision_pb.ts';
import { Effect } from '../../../gen/portcullis/v1/policy_rule_pb.ts';
import type { AuthorizeResponse } from '../../../gen/portcullis/v1/tool_service_pb.ts';
import { ArgumentsError } from '../checked-arguments.ts';
import type { PortcullisClient } from '../client.ts';
import { isPortcullisError } from '../errors.ts';
import { getAllowCache } from './allow-cache.ts';
import { waitForHuman } from './approval-wait.ts';
import { type Answer, ask } from './ask.ts';
import type { Denial, DenialKind } from './denial.ts';
import type { GuardSettings } from './guard-options.ts';
import type { HandlerCall } from './handler-call.ts';
import { type Question, textOfQuestion, toQuestion } from './question.ts';

type Client = Pick<PortcullisClient, 'tools'>;

/**
 * Asks whether a call may be made: undefined = yes, this once. Tells `onDenied` of a denial. Never throws.
 */
export async function authorizeCall(
  client: Client,
  settings: GuardSettings,
  call: HandlerCall,
): Promise<Denial | undefined> {
  const denial = await findDenial(client, settings, call).catch((error: unknown) => failed(call, error));
  if (denial !== undefined) {
    tell(settings, denial);
  }
  return denial;
}

async function findDenial(client: Client, settings: GuardSettings, call: HandlerCall): Promise<Denial | undefined> {
  if (isCanceled(call)) {
    return canceled(call);
  }
  const question = toQuestion(settings, call);
  const answer = await askOrRemember(client, settings, question, call.signal);
  // A caller that went away while the answer was on its way does not want the tool to run any more.
  return isCanceled(call) ? canceled(call) : denialOf(answer, settings, call);
}

async function askOrRemember(
  client: Client,
  { cacheMs, timeoutMs, approvalTimeoutMs }: GuardSettings,
  question: Question,
  signal: AbortSignal | undefined,
): Promise<Answer | 'remembered'> {
  const cache = cacheMs === 0 ? undefined : getAllowCache(client);
  const text = cache === undefined ? '' : textOfQuestion(question);
  if (cache?.has(text, cacheMs) === true) {
    return 'remembered';
  }
  const answer = await ask(client, question, { timeoutMs, approvalWaitMs: 0, signal });
  if (answer.kind !== 'answered') {
    return answer;
  }
  const { outcome, reason } = answer.response;
  if (outcome === Effect.ALLOW && reason !== DecisionReason.APPROVAL) {
    cache?.add(text);
  }
  return outcome === Effect.REQUIRE_APPROVAL
    ? waitForHuman(client, question, { timeoutMs, approvalTimeoutMs, signal }, answer.response)
    : answer;
}

function denialOf(answer: Answer | 'remembered', settings: GuardSettings, call: HandlerCall): Denial | undefined {
  if (answer === 'remembered') {
    return undefined;
  }
  switch (answer.kind) {
    case 'answered':
      return answer.response.outcome === Effect.ALLOW
        ? undefined
        : decided(call, answer.response, answer.isSettled === true);
    case 'unreachable':
      return settings.allowsUnreachable
        ? undefined
        : deny(call, 'unreachable', 'Portcullis could not be reached.', answer.error);
    case 'refused':
      return deny(call, 'refused', refusalText(answer.error), answer.error);
    case 'canceled':
      return canceled(call);
  }
}

function decided(call: HandlerCall, response: AuthorizeResponse, isSettled: boolean): Denial {
  const { outcome, message, approvalId, approvalExpireTime } = response;
  const needsApproval = outcome === Effect.REQUIRE_APPROVAL;
  const text = isSettled ? 'Nobody approved this call in time, or it was refused.' : message;
  return {
    ...deny(
      call,
      needsApproval ? 'approval_required' : 'denied',
      withApproval(text === '' ? defaultText(needsApproval) : text, approvalId),
    ),
    decisionId: response.decisionId === '' ? undefined : response.decisionId,
    decisionReason: response.reason,
    ruleIds: response.ruleIds,
    approvalId: approvalId === '' ? undefined : approvalId,
    approvalExpireTime: approvalExpireTime === undefined ? undefined : timestampDate(approvalExpireTime),
  };
}

function defaultText(needsApproval: boolean): string {
  return needsApproval ? 'This call needs approval.' : 'This call is not allowed.';
}

function withApproval(text: string, approvalId: string): string {
  return approvalId === '' ? text : `${text} (approval ${approvalId})`;
}

function refusalText(error: unknown): string {
  const reason = isPortcullisError(error) ? error.reason : 'unknown';
  return `Portcullis refused to decide this call (${reason}).`;
}

function isCanceled({ signal }: HandlerCall): boolean {
  return signal?.aborted === true;
}

function canceled(call: HandlerCall): Denial {
  return deny(call, 'canceled', 'The call was canceled.');
}

function failed(call: HandlerCall, error: unknown): Denial {
  return error instanceof ArgumentsError
    ? deny(call, 'invalid_arguments', error.message, error)
    : deny(call, 'failed', 'The call could not be checked.', error);
}

function deny({ toolName }: HandlerCall, kind: DenialKind, reason: string, cause?: unknown): Denial {
  return { kind, toolName, reason, cause };
}

function tell({ onDenied }: GuardSettings, denial: Denial): void {
  try {
    Promise.resolve(onDenied?.(denial.toolName, denial.reason, denial)).catch(() => {});
  } catch {
    // A denial stands, whatever becomes of the news of it.
  }
}
