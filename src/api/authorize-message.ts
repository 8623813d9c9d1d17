import type { MessageInitShape } from '@bufbuild/protobuf';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import type { AuthorizeResponseSchema } from '../../gen/portcullis/v1/tool_service_pb.ts';
import type { Approval } from '../domain/approval.ts';
import type { AuthorizeResult } from '../pipeline/authorize.ts';
import { STATES } from './approval-message.ts';
import { toReasonMessage } from './decision-message.ts';
import { toEffectMessage } from './effect-message.ts';

/** The decision about a call that is made elsewhere, in short. */
export function toAuthorizeMessage({
  decision,
  approval,
}: AuthorizeResult): MessageInitShape<typeof AuthorizeResponseSchema> {
  return {
    outcome: toEffectMessage(decision.effect),
    decisionId: decision.id,
    reason: toReasonMessage(decision.reason),
    ruleIds: [...decision.ruleIds],
    message: approval?.state === 'denied' ? deniedBy(approval) : decision.message,
    ...(approval !== undefined && {
      approvalId: approval.id,
      approvalState: STATES[approval.state],
      approvalExpireTime: timestampFromMs(approval.expireTime),
    }),
  };
}

/** A human's refusal, with the reason if one was given. */
function deniedBy({ votes }: Approval): string {
  const denial = votes.findLast(({ approved }) => !approved);
  const reason = denial === undefined || denial.comment === '' ? '' : `: ${denial.comment}`;
  return `The call was not approved${reason}.`;
}
