import type { Approvals } from '../approvals/approvals.ts';
import { GatewayError } from '../domain/errors.ts';
import { metaOf } from '../upstream/message.ts';
import { type ApprovalRetries, createApprovalRetries } from './approval-retry.ts';
import { type ApprovalTokensDeps, createApprovalTokens } from './approval-tokens.ts';
import { createApprovalWait } from './approval-wait.ts';
import { actionOf, declaresUrlElicitation } from './elicitation.ts';
import { CAPABILITIES_KEY, nameFields } from './envelope.ts';
import type { McpPost } from './exchange.ts';
import { createHeldCalls } from './held-calls.ts';
import type { StreamGuardDeps } from './stream-guard.ts';

export interface ApprovalGateDeps extends ApprovalTokensDeps, StreamGuardDeps {
  readonly approvals: Pick<Approvals, 'wait' | 'cancel' | 'get'>;
  /** Address of the page on which people answer an approval. */
  readonly approvalUrl: (id: string) => string;
}

export type ApprovalGate = ReturnType<typeof createApprovalGate>;

/** What the MCP face does about approvals: how calls wait for them, and what clients say about them. */
export function createApprovalGate(deps: ApprovalGateDeps) {
  const tokens = createApprovalTokens(deps);
  const held = createHeldCalls();
  const retries: ApprovalRetries = createApprovalRetries({ ...deps, tokens });
  const waitDeps = { ...deps, tokens, held };

  /** Takes a message that is for the gateway and not for the upstream; false for any other. */
  async function take(post: McpPost): Promise<boolean> {
    const { kind, method } = post.message;
    if (kind === 'response') {
      return takeAnswer(post);
    }
    return method === 'notifications/cancelled' && held.cancel(post);
  }

  /** The client's answer to the request to open an approval's page; it may have been asked by another replica. */
  async function takeAnswer({ message, principal, target }: McpPost): Promise<boolean> {
    const question = await tokens.read('question', message.id);
    if (question === undefined || question.targetId !== target.id) {
      return false;
    }
    if (question.principalId !== principal.id) {
      throw new GatewayError('validation_failed', 'This answers what somebody else was asked.');
    }
    const action = actionOf(message.value['result']);
    if (action === 'decline' || action === 'cancel') {
      await deps.approvals.cancel(question.approvalId, reasonOf(action));
    }
    return true;
  }

  /** The requester's client will not have the call. */
  function decline(approvalId: Parameters<Approvals['cancel']>[0]): Promise<void> {
    return deps.approvals.cancel(approvalId, reasonOf('decline'));
  }

  return {
    take,
    decline,
    mayBeRetry: retries.mayBeRetry,
    readRetry: retries.read,
    inputRequired: retries.resultFor,
    waitOf: (post: McpPost, retry?: Parameters<typeof createApprovalWait>[2]) =>
      createApprovalWait(waitDeps, post, retry),
  };
}

function reasonOf(action: 'decline' | 'cancel'): string {
  return action === 'decline' ? "Declined in the requester's client." : "Dismissed in the requester's client.";
}

/** True when a modern client can be asked to open a URL in answer to this request (specification 2026-07-28, basic/patterns/mrtr, Supported Requests). */
export function mayRequireInput({ era, message }: McpPost): boolean {
  const capabilities = metaOf(message.params ?? {})[CAPABILITIES_KEY];
  return era === 'modern' && nameFields.has(message.method) && declaresUrlElicitation(capabilities);
}
