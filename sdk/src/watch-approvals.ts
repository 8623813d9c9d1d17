import type { MessageInitShape } from '@bufbuild/protobuf';
import type { Approval } from '../../gen/portcullis/v1/approval_pb.ts';
import type { WatchApprovalsRequestSchema } from '../../gen/portcullis/v1/approval_service_pb.ts';
import type { PortcullisClient } from './client.ts';
import { followWatch, WATCH_TIMING, type WatchTiming } from './follow-watch.ts';
import type { WatchCallbacks } from './watch-callbacks.ts';

/** Which approvals to watch, and from where: `project`, `filter` and `cursor` of WatchApprovalsRequest. */
export type WatchApprovalsOptions = Pick<
  MessageInitShape<typeof WatchApprovalsRequestSchema>,
  'project' | 'filter' | 'cursor'
> &
  WatchCallbacks;

/** An approval as it is after a change, and the place after it: a later watch with that `cursor` goes on with the next change. */
export interface WatchedApproval {
  readonly approval: Approval;
  readonly cursor: string;
}

/** Makes a watch with other times than those of the contract. */
export function createApprovalWatcher(timing: WatchTiming) {
  return async function* watch(
    { approvals }: Pick<PortcullisClient, 'approvals'>,
    options: WatchApprovalsOptions = {},
  ): AsyncGenerator<WatchedApproval, void, undefined> {
    const { signal, onCheckpoint, onReconnect, cursor: first = '', ...request } = options;
    const open = (cursor: string, opened: AbortSignal) =>
      approvals.watchApprovals({ ...request, cursor }, { signal: opened });
    for await (const { value, cursor } of followWatch(open, { cursor: first, signal, onReconnect, timing })) {
      if (value.case === 'approval') {
        yield { approval: value.value, cursor };
      } else if (value.case === 'checkpoint') {
        await onCheckpoint?.(cursor);
      }
    }
  };
}

/**
 * Watches approvals: without a cursor first those that are there now, then each that is created or changed, in the order of the changes.
 * Of several changes of one approval in a row only the last may come. Reconnects, ends and throws as watchDecisions does.
 */
export const watchApprovals = createApprovalWatcher(WATCH_TIMING);
