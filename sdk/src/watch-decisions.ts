import type { MessageInitShape } from '@bufbuild/protobuf';
import type { Decision } from '../../gen/portcullis/v1/decision_pb.ts';
import type { WatchDecisionsRequestSchema } from '../../gen/portcullis/v1/decision_service_pb.ts';
import type { PortcullisClient } from './client.ts';
import { followWatch, WATCH_TIMING, type WatchTiming } from './follow-watch.ts';
import type { WatchCallbacks } from './watch-callbacks.ts';

/** Which decisions to watch, and from where: `project`, `filter` and `cursor` of WatchDecisionsRequest. */
export type WatchRequest = Pick<MessageInitShape<typeof WatchDecisionsRequestSchema>, 'project' | 'filter' | 'cursor'>;

export type WatchOptions = WatchRequest & WatchCallbacks;

/** A decision, and the place after it: store both together, and a later watch with that `cursor` goes on with the next decision. */
export interface WatchedDecision {
  readonly decision: Decision;
  readonly cursor: string;
}

/** Makes a watch with other times than those of the contract. */
export function createDecisionWatcher(timing: WatchTiming) {
  return async function* watch(
    { decisions }: Pick<PortcullisClient, 'decisions'>,
    options: WatchOptions = {},
  ): AsyncGenerator<WatchedDecision, void, undefined> {
    const { signal, onCheckpoint, onReconnect, cursor: first = '', ...request } = options;
    const open = (cursor: string, opened: AbortSignal) =>
      decisions.watchDecisions({ ...request, cursor }, { signal: opened });
    for await (const { value, cursor } of followWatch(open, { cursor: first, signal, onReconnect, timing })) {
      if (value.case === 'decision') {
        yield { decision: value.value, cursor };
      } else if (value.case === 'checkpoint') {
        await onCheckpoint?.(cursor);
      }
    }
  };
}

/**
 * Watches decisions as they are committed, each exactly once. When the connection breaks, or is silent for 2.5 heartbeats, the watch
 * connects again and goes on behind the last decision; without a cursor it begins at the first checkpoint. It ends when the signal is
 * aborted, and throws what a retry can't mend, such as `permission_denied` and `cursor_invalid`.
 */
export const watchDecisions = createDecisionWatcher(WATCH_TIMING);
