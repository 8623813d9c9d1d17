import { Code } from '@connectrpc/connect';
import { PortcullisError } from './errors.ts';

/** One connection of a watch. */
export interface WatchStream<Response> {
  /** The next response; throws `connection_failed` when the stream ends, or is silent for too long. */
  next(): Promise<Response>;
  /** Ends the connection. */
  close(): void;
}

export interface WatchStreamOptions {
  readonly signal: AbortSignal | undefined;
  /** Longest time without a response, checkpoints included, in milliseconds. */
  readonly silenceMs: number;
}

/** Opens one connection; it is closed when the signal, which is not aborted yet, is aborted. */
export function openWatchStream<Response>(
  open: (signal: AbortSignal) => AsyncIterable<Response>,
  { signal, silenceMs }: WatchStreamOptions,
): WatchStream<Response> {
  const connection = new AbortController();
  const onAbort = () => connection.abort(signal?.reason);
  signal?.addEventListener('abort', onAbort);
  const responses = open(connection.signal)[Symbol.asyncIterator]();
  return {
    async next() {
      const silence = setTimeout(() => connection.abort(broken('was silent for too long')), silenceMs);
      try {
        const result = await responses.next();
        if (result.done === true) {
          throw broken('ended');
        }
        return result.value;
      } finally {
        clearTimeout(silence);
      }
    },
    close() {
      signal?.removeEventListener('abort', onAbort);
      connection.abort();
    },
  };
}

function broken(how: string): PortcullisError {
  return new PortcullisError('connection_failed', `The stream of the watch ${how}.`, { code: Code.Unavailable });
}
