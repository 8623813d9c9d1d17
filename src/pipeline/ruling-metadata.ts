import type { Ruling } from './decide-call.ts';

/** What a refused caller can act on, as texts for machines: the ids, and until when an approval is good (RFC 3339). */
export function rulingMetadata({ decision, approval }: Ruling): Record<string, string> {
  return {
    call_id: decision.id,
    ...(decision.ruleIds.length > 0 && { rule: decision.ruleIds.join(',') }),
    ...(approval !== undefined && {
      approval_id: approval.id,
      approval_state: approval.state,
      expires_at: new Date(approval.expireTime).toISOString(),
    }),
  };
}
