import type { MessageInitShape } from '@bufbuild/protobuf';
import type { Decision } from '../../gen/portcullis/v1/decision_pb.ts';
import type { WatchDecisionsRequestSchema } from '../../gen/portcullis/v1/decision_service_pb.ts';
import type { PortcullisClient } from './client.ts';
import type { PortcullisError } from './errors.ts';
import { followDecisions, type WatchTiming } from './follow-decisions.ts';

/** Which decisions to watch, and from where: `project`, `filter` and `cursor` of WatchDecisionsRequest. */
export type WatchRequest = Pick<MessageInitShape<typeof WatchDecisionsRequestSchema>, 'project' | 'filter' | 'cursor'>;

export type WatchOptions = WatchRequest & {
  /** Ends the watch, without an error. */
  readonly signal?: AbortSignal | undefined;
  /**
   * Told the place of the watch when there is nothing to watch: first as soon as it has caught up, then after every 15 quiet seconds.
   * All decisions before it have been handled. The watch waits for it, and ends with what it throws.
   */
  readonly onCheckpoint?: ((cursor: string) => void | Promise<void>) | undefined;
  /** Told why the connection broke, before the wait for the next one. */
  readonly onReconnect?: ((error: PortcullisError) => void) | undefined;
};

/** A decision, and the place after it: store both together, and a later watch with that `cursor` goes on with the next decision. */
export interface WatchedDecision {
  readonly decision: Decision;
  readonly cursor: string;
}

/** Makes a watch with other times than those of the contract. */
export function createDecisionWatcher(timing: WatchTiming) {
  return async function* watch(
    client: Pick<PortcullisClient, 'decisions'>,
    options: WatchOptions = {},
  ): AsyncGenerator<WatchedDecision, void, undefined> {
    const { signal, onCheckpoint, onReconnect, ...request } = options;
    for await (const { value, cursor } of followDecisions(client, request, { signal, onReconnect, timing })) {
      if (value.case === 'decision') {
        yield { decision: value.value, cursor };
      } else if (value.case === 'checkpoint') {
        await onCheckpoint?.(cursor);
      }
    }
  };
}

/** The heartbeat of WatchDecisions is 15 seconds. */
const HEARTBEAT_MS = 15_000;

/**
 * Watches decisions as they are committed, each exactly once. When the connection breaks, or is silent for 2.5 heartbeats, the watch
 * connects again and goes on behind the last decision; without a cursor it begins at the first checkpoint. It ends when the signal is
 * aborted, and throws what a retry can't mend, such as `permission_denied` and `cursor_invalid`.
 */
export const watchDecisions = createDecisionWatcher({
  silenceMs: 2.5 * HEARTBEAT_MS,
  firstDelayMs: 500,
  maxDelayMs: 10_000,
});
