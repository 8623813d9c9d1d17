import type { Approvals } from '../approvals/approvals.ts';
import type { Approval } from '../domain/approval.ts';
import { callScopes, type WaitForApproval } from '../pipeline/call.ts';
import type { ApprovalRetry } from './approval-retry.ts';
import type { ApprovalTokens } from './approval-tokens.ts';
import { timeText, urlElicitation } from './elicitation.ts';
import type { McpPost } from './exchange.ts';
import type { HeldCalls } from './held-calls.ts';
import { reportWaiting } from './progress.ts';
import { type StreamGuardDeps, watchAccess } from './stream-guard.ts';

export interface ApprovalWaitDeps extends StreamGuardDeps {
  readonly approvals: Pick<Approvals, 'wait'>;
  /** Address of the approval's page. */
  readonly approvalUrl: (id: string) => string;
  readonly tokens: ApprovalTokens;
  readonly held: HeldCalls;
}

/** Longest wait of one round of a modern elicitation: clients commonly give up after a minute, and this one simply goes on with its next round. */
const MAX_ROUND_MS = 45_000;

/** How a call of this post waits for its approval; it returns at once where the caller has to come again. */
export function createApprovalWait(deps: ApprovalWaitDeps, post: McpPost, retry?: ApprovalRetry): WaitForApproval {
  return async (approval, demand) => {
    switch (demand.behavior) {
      case 'error':
        return approval;
      case 'hold':
        return hold(deps, post, approval, demand.holdTimeoutMs);
      case 'elicit':
        return elicit(deps, post, approval, demand, retry);
    }
  };
}

/** A legacy client is asked on the open response; a modern one has to be answered, and waits when it comes back. */
function elicit(
  deps: ApprovalWaitDeps,
  post: McpPost,
  approval: Approval,
  { holdTimeoutMs }: Parameters<WaitForApproval>[1],
  retry: ApprovalRetry | undefined,
): Promise<Approval> {
  if (post.era === 'legacy') {
    return post.session?.elicitsUrl === true
      ? hold(deps, post, approval, holdTimeoutMs, () => ask(deps, post, approval))
      : Promise.resolve(approval);
  }
  return retry?.isAccepted === true && retry.approval.id === approval.id
    ? hold(deps, post, approval, Math.min(holdTimeoutMs, MAX_ROUND_MS))
    : Promise.resolve(approval);
}

/**
 * Keeps the call on its open response, an event stream from now on. Ends early when the client goes away or cancels the call, or the
 * process stops: the approval is then returned as it was, since nobody would take the answer.
 *
 * @throws GatewayError when the caller loses its right to call meanwhile
 */
async function hold(
  deps: ApprovalWaitDeps,
  post: McpPost,
  approval: Approval,
  timeoutMs: number,
  ask?: () => Promise<void>,
): Promise<Approval> {
  const { answer } = post;
  const until = Date.now() + timeoutMs;
  const gone = new AbortController();
  const lost = new AbortController();
  answer.startStream();
  answer.onClose(() => gone.abort());
  const message = `A human must approve this call at ${deps.approvalUrl(approval.id)}; it waits until ${timeText(until)}.`;
  const releases = [
    reportWaiting(answer, post.message, until, message),
    watchAccess(deps, post, callScopes, (error) => lost.abort(error)),
    deps.held.add(post, () => {
      gone.abort();
      answer.end();
    }),
  ];
  try {
    await ask?.();
    const signal = AbortSignal.any([gone.signal, lost.signal, deps.stopping]);
    const settled = await deps.approvals.wait(approval.id, until, signal);
    if (ask !== undefined && settled.state !== 'pending') {
      answer.sendEvent(notification('notifications/elicitation/complete', { elicitationId: approval.id }));
    }
    return gone.signal.aborted ? approval : settled;
  } catch (error) {
    if (!gone.signal.aborted && !deps.stopping.aborted) {
      throw error;
    }
    return approval;
  } finally {
    for (const release of releases) {
      release();
    }
  }
}

/** Asks the user to open the approval's page (specification 2025-11-25, client/elicitation, URL Mode). */
async function ask(deps: ApprovalWaitDeps, { answer, principal, target }: McpPost, approval: Approval): Promise<void> {
  const id = await deps.tokens.make({
    kind: 'question',
    approvalId: approval.id,
    principalId: principal.id,
    targetId: target.id,
  });
  const params = { ...urlElicitation(approval, deps.approvalUrl(approval.id)), elicitationId: approval.id };
  answer.sendEvent(JSON.stringify({ jsonrpc: '2.0', id, method: 'elicitation/create', params }));
}

function notification(method: string, params: object): string {
  return JSON.stringify({ jsonrpc: '2.0', method, params });
}
