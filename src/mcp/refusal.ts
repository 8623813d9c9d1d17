import type { Approval } from '../domain/approval.ts';
import type { Era } from '../domain/upstream.ts';
import type { Ruling } from '../pipeline/decide-call.ts';
import { timeText } from './elicitation.ts';
import { type RpcError, refusalCodes } from './errors.ts';

/** The JSON-RPC error for a call that was denied, waits for an approval, or was not approved. */
export function refusalOf(era: Era, { decision, approval }: Pick<Ruling, 'decision' | 'approval'>): RpcError {
  const codes = refusalCodes[era];
  const { message, effect } = decision;
  const data = { call_id: decision.id, reason: decision.reason as string, rule_ids: decision.ruleIds };
  if (approval === undefined) {
    return { code: effect === 'deny' ? codes.deny : codes.approval, message, data };
  }
  const approval_id = approval.id;
  if (approval.state === 'pending' || approval.state === 'approved') {
    const expires_at = timeText(approval.expireTime);
    return { code: codes.approval, message, data: { ...data, approval_id, expires_at } };
  }
  const reason = `approval_${approval.state}`;
  return { code: codes.deny, message: whyNotApproved(approval), data: { ...data, reason, approval_id } };
}

/** What the caller is told about an approval that does not let its call through, and never will. */
export function whyNotApproved({ state, votes }: Approval): string {
  switch (state) {
    case 'denied': {
      const comment = votes.find(({ approved }) => !approved)?.comment ?? '';
      return comment === '' ? 'The call was not approved.' : `The call was not approved: ${comment}`;
    }
    case 'expired':
      return 'Nobody approved the call in time. Repeat it to ask again.';
    case 'consumed':
      return 'The approval was used by another call with the same arguments. Repeat the call to ask again.';
    case 'pending':
    case 'approved':
      return 'The call waits for its approval.';
  }
}
