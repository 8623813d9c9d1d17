import type { MessageInitShape } from '@bufbuild/protobuf';
import { Code } from '@connectrpc/connect';
import type {
  WatchDecisionsRequestSchema,
  WatchDecisionsResponse,
} from '../../gen/portcullis/v1/decision_service_pb.ts';
import type { PortcullisClient } from './client.ts';
import { PortcullisError } from './errors.ts';

/** One connection of a watch. */
export interface WatchStream {
  /** The next response; throws `connection_failed` when the stream ends, or is silent for too long. */
  next(): Promise<WatchDecisionsResponse>;
  /** Ends the connection. */
  close(): void;
}

export interface WatchStreamOptions {
  readonly signal: AbortSignal | undefined;
  /** Longest time without a response, checkpoints included, in milliseconds. */
  readonly silenceMs: number;
}

/** Opens one connection; it is closed when the signal, which is not aborted yet, is aborted. */
export function openWatchStream(
  { decisions }: Pick<PortcullisClient, 'decisions'>,
  request: MessageInitShape<typeof WatchDecisionsRequestSchema>,
  { signal, silenceMs }: WatchStreamOptions,
): WatchStream {
  const connection = new AbortController();
  const onAbort = () => connection.abort(signal?.reason);
  signal?.addEventListener('abort', onAbort);
  const stream = decisions.watchDecisions(request, { signal: connection.signal });
  const responses = stream[Symbol.asyncIterator]();
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
  return new PortcullisError('connection_failed', `The stream of decisions ${how}.`, { code: Code.Unavailable });
}
