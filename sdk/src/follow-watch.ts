import { Code } from '@connectrpc/connect';
import { type BackoffOptions, createBackoff, waitUntil } from './backoff.ts';
import { isPortcullisError, type PortcullisError } from './errors.ts';
import { openWatchStream } from './watch-stream.ts';

export interface WatchTiming extends BackoffOptions {
  /** Longest time without a response before the connection counts as broken, in milliseconds. */
  readonly silenceMs: number;
}

/** The heartbeat of every watch is 15 seconds; one that is silent for 2.5 heartbeats is broken. */
export const WATCH_TIMING: WatchTiming = { silenceMs: 37_500, firstDelayMs: 500, maxDelayMs: 10_000 };

export interface FollowOptions {
  /** Where to begin; empty = as the watch says. */
  readonly cursor: string;
  readonly signal: AbortSignal | undefined;
  /** Told why the connection broke, before the wait for the next one. */
  readonly onReconnect: ((error: PortcullisError) => void) | undefined;
  readonly timing: WatchTiming;
}

/** What every response of a watch has. */
export interface WatchResponse {
  readonly value: { readonly case: string | undefined };
  readonly cursor: string;
}

/**
 * The responses of a watch over as many connections as it takes, each going on where the one before broke. Ends when the signal is
 * aborted; throws what connecting again can't mend.
 */
export async function* followWatch<Response extends WatchResponse>(
  open: (cursor: string, signal: AbortSignal) => AsyncIterable<Response>,
  options: FollowOptions,
): AsyncGenerator<Response, void, undefined> {
  const { signal, onReconnect, timing } = options;
  const backoff = createBackoff(timing);
  const isAborted = () => signal?.aborted === true;
  let { cursor } = options;
  while (!isAborted()) {
    const from = cursor;
    const stream = openWatchStream((opened) => open(from, opened), { signal, silenceMs: timing.silenceMs });
    let heard = false;
    let failure: PortcullisError;
    try {
      for (;;) {
        const response = await stream.next();
        cursor = response.cursor;
        // A new connection soon sends a checkpoint; only what else comes shows that the connection is of use.
        if (heard || response.value.case !== 'checkpoint') {
          backoff.reset();
        }
        heard = true;
        yield response;
      }
    } catch (error) {
      if (isAborted()) {
        return;
      }
      failure = getMendable(error, heard);
    } finally {
      stream.close();
    }
    onReconnect?.(failure);
    await waitUntil(Math.max(backoff.next(), failure.retryAfterMs ?? 0), signal);
  }
}

/** The error, if connecting again can mend it; throws it otherwise. `heard` tells whether the connection has carried anything. */
function getMendable(error: unknown, heard: boolean): PortcullisError {
  if (isPortcullisError(error) && isMendable(error, heard)) {
    return error;
  }
  throw error;
}

function isMendable({ code, reason }: PortcullisError, heard: boolean): boolean {
  switch (code) {
    case Code.Unavailable:
    case Code.Canceled:
    case Code.DeadlineExceeded:
      return true;
    default:
      // A token that expires under a running stream may have a successor; a connection that begins with this error has none.
      return reason === 'rate_limit_exceeded' || (reason === 'token_expired' && heard);
  }
}
