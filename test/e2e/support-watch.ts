import type { Client } from '@connectrpc/connect';
import type { Decision } from '../../gen/portcullis/v1/decision_pb.ts';
import type { DecisionService } from '../../gen/portcullis/v1/decision_service_pb.ts';

type DecisionClient = Client<typeof DecisionService>;
type WatchFilter = NonNullable<Parameters<DecisionClient['watchDecisions']>[0]['filter']>;

/** One subscriber of WatchDecisions and what it was sent, over as many streams as it opened. */
export interface Watcher {
  /** In the order in which they were sent, repeats included. */
  readonly decisions: readonly Decision[];
  readonly checkpoints: number;
  /** Cursor of the last response; empty before the first. */
  readonly cursor: string;
  /**
   * Opens a stream that goes on after the last response; resolves when the first response is there, so that nothing
   * decided later is missed. Rejects with what ended the stream before.
   */
  open(client: DecisionClient): Promise<void>;
  /** Resolves with what ended the open stream: an error, or undefined. */
  ended(): Promise<unknown>;
  /** Resolves when a decision for which `is` holds has been sent. */
  sent(is: (decision: Decision) => boolean): Promise<void>;
  /** Leaves the stream. */
  close(): Promise<void>;
}

/** Makes a subscriber that has not opened a stream yet; `cursor` is where it begins, empty = from now. */
export function createWatcher(filter?: WatchFilter, cursor = ''): Watcher {
  const decisions: Decision[] = [];
  const waiting = new Set<() => void>();
  let checkpoints = 0;
  let end: Promise<unknown> = Promise.resolve(undefined);
  let leave = new AbortController();

  const follow = async (client: DecisionClient, onFirst: () => void): Promise<void> => {
    const request = filter === undefined ? { cursor } : { cursor, filter };
    for await (const response of client.watchDecisions(request, { signal: leave.signal })) {
      if (response.value.case === 'decision') {
        decisions.push(response.value.value);
      } else {
        checkpoints++;
      }
      cursor = response.cursor;
      onFirst();
      for (const look of waiting) look();
    }
  };

  return {
    decisions,
    get checkpoints() {
      return checkpoints;
    },
    get cursor() {
      return cursor;
    },
    open(client) {
      leave = new AbortController();
      return new Promise((resolve, reject) => {
        end = follow(client, resolve).then(
          () => reject(new Error('the stream ended before anything was sent')),
          (error: unknown) => {
            reject(error);
            return error;
          },
        );
      });
    },
    ended: () => end,
    sent: (is) =>
      new Promise((resolve) => {
        const look = () => {
          if (decisions.some(is)) {
            waiting.delete(look);
            resolve();
          }
        };
        waiting.add(look);
        look();
      }),
    async close() {
      leave.abort();
      await end;
    },
  };
}

/** Every decision of the log, oldest first. */
export async function readLog(client: DecisionClient, filter?: WatchFilter): Promise<Decision[]> {
  const log: Decision[] = [];
  let pageToken = '';
  do {
    const page = await client.listDecisions({ pageSize: 250, pageToken, ...(filter === undefined ? {} : { filter }) });
    log.push(...page.decisions);
    pageToken = page.nextPageToken;
  } while (pageToken !== '');
  return log.toReversed();
}
